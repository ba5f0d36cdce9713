from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.fake_fields import merged
from libs.kube.tests.kinds import (
    CONFIG_MAPS,
    WIDGETS,
    config_map,
    deployment,
    widget,
)
from libs.kube.tests.world import world

from agent_kube.apply.appliedstate import shape_of
from agent_kube.apply.merge import merge_patch
from agent_kube.objects import digest_manifest


@pytest.mark.parametrize("changed", [False, True])
async def test_restarted_operator_writes_nothing_and_reads_once_per_shape(api: FakeApi, changed: bool) -> None:
    api.create(WIDGETS, widget("w"))
    children = [config_map(f"c{number}", a=str(number)) for number in range(20)]
    children += [deployment(f"d{number}", image=f"nginx:{number}") for number in range(20)]
    async with api.client() as client:
        async with world(api, client) as first:
            if changed:
                await first.apply(*[deployment(f"d{number}", image="old") for number in range(20)])
            await first.apply(*children)
        versions = [api.read(CONFIG_MAPS, name)["metadata"]["resourceVersion"] for name in api.names(CONFIG_MAPS)]
        api.calls.clear()
        async with world(api, client) as second:
            applied = await second.apply(*children)
            assert (applied.sent, applied.unchanged) == (0, 40)
            assert len([call for call in api.called("list") if "fieldSelector" in call.query]) == 2
    assert versions == [api.read(CONFIG_MAPS, name)["metadata"]["resourceVersion"] for name in api.names(CONFIG_MAPS)]


DOCUMENTS = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)


OBJECTS = st.dictionaries(st.sampled_from("abcd"), DOCUMENTS, max_size=4)


@given(old=OBJECTS, new=OBJECTS)
def test_merge_patch_makes_new_of_old(old: Any, new: Any) -> None:
    patch = merge_patch(old, new)
    assert merged(old, patch) == new
    assert (patch == {}) == (old == new)


@given(manifest=OBJECTS)
def test_digest_ignores_the_order_of_keys(manifest: Any) -> None:
    assert digest_manifest(dict(reversed(manifest.items()))) == digest_manifest(manifest)


def test_shape_is_of_fields_and_not_of_values() -> None:
    assert shape_of(deployment("a", image="one")) == shape_of({**deployment("a", image="two")})
    assert shape_of(config_map("c", a="1")) != shape_of(config_map("c", b="1"))
    assert shape_of(config_map("c", a="1")) == shape_of(config_map("other", a="2"))
    renamed = deployment("a")
    renamed["spec"]["template"]["spec"]["containers"][0]["env"][0]["name"] = "B"
    assert shape_of(renamed) != shape_of(deployment("a"))
