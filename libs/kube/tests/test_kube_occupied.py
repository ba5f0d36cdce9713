"""What is not ours is left alone; what is ours and no longer wanted goes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from libs.kube.tests import faults
from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.kinds import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    MANAGER,
    WIDGETS,
    config_map,
    config_maps,
    deployment,
    eventually,
    widget,
)
from libs.kube.tests.world import World, _version, world

from agent_kube import (
    Conflict,
    Occupied,
)


async def test_object_of_somebody_else_is_not_overwritten(here: World) -> None:
    here.api.create(CONFIG_MAPS, config_map("taken", a="theirs"))
    owned = config_map("owned", a="theirs")
    owned["metadata"]["ownerReferences"] = [{"uid": "other", "kind": "Widget", "name": "x", "controller": True}]
    here.api.create(CONFIG_MAPS, owned)
    await eventually(lambda: len(here.stores[here.source(CONFIG_MAPS)]) == 2)
    applied = await here.apply(config_map("taken", a="ours"), config_map("owned", a="ours"), config_map("free"))
    assert applied.sent == 1
    assert [refusal.key.name for refusal in applied.refused] == ["taken", "owned"]
    with pytest.raises(Occupied, match=r"configmaps default/taken exists already.*rename or delete it"):
        applied.raise_first()
    assert here.api.read(CONFIG_MAPS, "taken")["data"] == {"a": "theirs"}
    assert here.api.read(CONFIG_MAPS, "owned")["data"] == {"a": "theirs"}


@asynccontextmanager
async def selective(api: FakeApi) -> AsyncIterator[World]:
    """Caches of ConfigMaps with our label alone."""
    if "w" not in api.names(WIDGETS):
        api.create(WIDGETS, widget("w"))
    async with api.client() as client, world(api, client, config_maps(selector="made-by=us")) as entered:
        yield entered


def labelled(name: str, **data: str) -> dict[str, Any]:
    made = config_map(name, **data)
    made["metadata"]["labels"] = {"made-by": "us"}
    return made


async def test_object_of_somebody_else_that_the_selector_hides_is_not_overwritten(api: FakeApi) -> None:
    api.create(CONFIG_MAPS, config_map("before"))
    api.create(CONFIG_MAPS, config_map("taken", a="theirs"))
    async with selective(api) as here:
        applied = await here.apply(labelled("taken", a="ours"), labelled("free"))
    assert applied.sent == 1
    with pytest.raises(Occupied, match=r"configmaps default/taken exists already.*rename or delete it"):
        applied.raise_first()
    assert api.read(CONFIG_MAPS, "taken")["data"] == {"a": "theirs"}
    assert "labels" not in api.read(CONFIG_MAPS, "taken")["metadata"]


async def test_object_of_ours_that_lost_its_label_gets_it_back(api: FakeApi) -> None:
    async with selective(api) as here:
        await here.apply(labelled("c", a="1"))
    api.edit(CONFIG_MAPS, "c", {"metadata": {"labels": None}})
    async with selective(api) as here:
        assert (await here.apply(labelled("c", a="1"))).sent == 1
    assert api.read(CONFIG_MAPS, "c")["metadata"]["labels"] == {"made-by": "us"}


async def test_object_that_goes_while_it_is_looked_at_is_tried_again(api: FakeApi) -> None:
    async with selective(api) as here:
        api.fault(faults.refuse(409, "AlreadyExists"), verb="create", plural="configmaps")
        with pytest.raises(Conflict):
            await here.apply(labelled("c"))


async def test_orphan_that_was_applied_from_here_is_adopted(here: World) -> None:
    await here.apply(config_map("c", a="1"))
    here.api.edit(CONFIG_MAPS, "c", {"metadata": {"ownerReferences": None}})
    await eventually(lambda: _version(here, CONFIG_MAPS, "c") == here.api.storage.version)
    assert (await here.apply(config_map("c", a="1"))).sent == 1
    [owner] = here.api.read(CONFIG_MAPS, "c")["metadata"]["ownerReferences"]
    assert owner["uid"] == here.owner.metadata.uid


async def test_prune_deletes_what_is_no_longer_rendered_and_only_that(here: World) -> None:
    await here.apply(config_map("keep"), config_map("drop"), deployment("drop"))
    foreign = config_map("foreign")
    foreign["metadata"]["ownerReferences"] = [{"uid": here.owner.metadata.uid, "kind": "Widget", "name": "w"}]
    here.api.create(CONFIG_MAPS, foreign)
    await eventually(lambda: len(here.stores[here.source(CONFIG_MAPS)]) == 3)
    request = here.request()
    assert await here.applier.prune(request, here.owner, [config_map("keep")]) == 2
    await here.caught_up(request)
    assert here.api.names(CONFIG_MAPS) == ["foreign", "keep"]
    assert here.api.names(DEPLOYMENTS) == []
    deletion = here.api.called("delete")[0]
    assert deletion.body["preconditions"]["uid"]
    assert await here.applier.prune(here.request(), here.owner, [config_map("keep")]) == 0


async def test_prune_waits_for_a_deletion_that_is_under_way(here: World) -> None:
    child = config_map("slow")
    child["metadata"]["finalizers"] = ["example.com/hold"]
    await here.apply(child)
    request = here.request()
    assert await here.applier.prune(request, here.owner, []) == 1
    await here.caught_up(request)
    assert await here.applier.prune(here.request(), here.owner, []) == 0
    assert len(here.api.called("delete")) == 1


async def test_status_is_sent_only_as_far_as_it_differs(here: World) -> None:
    request = here.request()
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "tools": {"git": "2", "jq": "1"}}
    assert await here.applier.patch_status(request, here.owner, status)
    await here.caught_up(request)
    assert not await here.applier.patch_status(here.request(), here.owner, status)
    request = here.request()
    assert await here.applier.patch_status(request, here.owner, {**status, "tools": {"git": "3"}})
    await here.caught_up(request)
    first, second = here.api.called("patch")
    assert first.query == {"fieldValidation": "Ignore", "fieldManager": MANAGER}
    assert second.body == {"status": {"tools": {"git": "3", "jq": None}}}
    assert here.api.read(WIDGETS, "w")["status"]["tools"] == {"git": "3"}
