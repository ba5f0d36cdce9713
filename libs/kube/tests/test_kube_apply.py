import pytest
from libs.kube.tests import faults
from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.kinds import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    MANAGER,
    MARK,
    WIDGETS,
    config_map,
    deployment,
    eventually,
    widget,
)
from libs.kube.tests.world import World, _managed, _version, world

from agent_kube import (
    Applier,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unreachable,
)
from agent_kube.apply.appliedstate import shape_of


async def test_children_are_created_owned_and_marked(here: World) -> None:
    applied = await here.apply(config_map("c", a="1"), deployment("d"))
    assert (applied.sent, applied.unchanged, applied.refused) == (2, 0, [])
    metadata = here.api.read(DEPLOYMENTS, "d")["metadata"]
    [owner] = metadata["ownerReferences"]
    assert owner == {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "name": "w",
        "uid": here.owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert metadata["namespace"] == "default"
    assert len(metadata["annotations"][MARK]) == 16
    [one, two] = here.api.called("create")
    assert [one.plural, two.plural] == ["configmaps", "deployments"]
    assert one.query == {"fieldValidation": "Ignore", "fieldManager": MANAGER}
    assert "status" not in two.body
    await here.apply(config_map("c", a="2"), deployment("d"))
    last = here.api.called("patch")[-1]
    assert last.query == {"fieldManager": MANAGER, "force": "true"}
    assert last.content_type == "application/apply-patch+yaml"


async def test_nothing_is_sent_when_nothing_changes(here: World) -> None:
    children = (config_map("c", a="1"), deployment("d"))
    await here.apply(*children)
    here.api.calls.clear()
    for _ in range(50):
        applied = await here.apply(*children)
        assert (applied.sent, applied.unchanged) == (0, 2)
    assert here.api.writes() == []


async def test_only_the_changed_child_is_sent(here: World) -> None:
    await here.apply(config_map("c", a="1"), deployment("d"))
    await here.apply(config_map("c", a="1"), deployment("d", image="nginx:1"))
    here.api.calls.clear()
    await here.apply(config_map("c", a="1"), deployment("d", image="nginx:2"))
    assert [call.plural for call in here.api.writes()] == ["deployments"]
    assert here.api.read(DEPLOYMENTS, "d")["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:2"


async def test_field_that_is_no_longer_rendered_is_removed(here: World) -> None:
    await here.apply(config_map("c", a="1", b="2", c="3"))
    await here.apply(config_map("c", a="1", b="2"))
    assert here.api.read(CONFIG_MAPS, "c")["data"] == {"a": "1", "b": "2"}
    await here.apply(config_map("c", a="1"))
    assert here.api.read(CONFIG_MAPS, "c")["data"] == {"a": "1"}
    owners = {(entry["manager"], entry["operation"]) for entry in _managed(here, CONFIG_MAPS, "c")}
    assert owners == {(MANAGER, "Apply")}


async def test_claim_that_loses_a_race_is_tried_again(here: World) -> None:
    await here.apply(config_map("c", a="1"))
    here.api.fault(faults.refuse(409, "Conflict"), verb="patch", times=3)
    await here.apply(config_map("c", a="2"))
    assert here.api.read(CONFIG_MAPS, "c")["data"] == {"a": "2"}


async def test_claim_that_loses_every_race_is_left_to_the_next_pass(here: World) -> None:
    await here.apply(config_map("c", a="1"))
    here.api.fault(faults.refuse(409, "Conflict"), verb="patch", times=4)
    with pytest.raises(Conflict):
        await here.apply(config_map("c", a="2"))
    await here.apply(config_map("c", a="2"))
    assert here.api.read(CONFIG_MAPS, "c")["data"] == {"a": "2"}


async def test_drift_in_an_owned_field_is_undone(here: World) -> None:
    await here.apply(config_map("c", a="1"))
    here.api.edit(CONFIG_MAPS, "c", {"data": {"a": "tampered"}})
    await eventually(lambda: _version(here, CONFIG_MAPS, "c") == here.api.storage.version)
    applied = await here.apply(config_map("c", a="1"))
    assert applied.sent == 1
    assert here.api.read(CONFIG_MAPS, "c")["data"] == {"a": "1"}
    here.api.calls.clear()
    await here.apply(config_map("c", a="1"))
    assert here.api.writes() == []


async def test_deleted_child_is_made_again(here: World) -> None:
    await here.apply(config_map("c", a="1"))
    here.api.remove(CONFIG_MAPS, "c")
    await eventually(lambda: not len(here.stores[here.source(CONFIG_MAPS)]))
    await here.apply(config_map("c", a="1"))
    assert here.api.names(CONFIG_MAPS) == ["c"]


async def test_what_is_not_ours_is_kept_and_causes_no_writes(here: World) -> None:
    """Scaling by an HPA, status, foreign labels and annotations."""
    await here.apply(deployment("d"))
    here.api.edit(DEPLOYMENTS, "d", {"spec": {"replicas": 7}})
    here.api.edit(DEPLOYMENTS, "d", {"status": {"readyReplicas": 7}}, subresource="status")
    here.api.edit(DEPLOYMENTS, "d", {"metadata": {"labels": {"team": "x"}, "annotations": {"revision": "1"}}})
    await eventually(lambda: _version(here, DEPLOYMENTS, "d") == here.api.storage.version)
    assert (await here.apply(deployment("d"))).sent == 1  # `replicas` was ours by default, and is no longer
    here.api.edit(DEPLOYMENTS, "d", {"spec": {"replicas": 8}})
    here.api.edit(DEPLOYMENTS, "d", {"spec": {"replicas": 7}})
    await eventually(lambda: _version(here, DEPLOYMENTS, "d") == here.api.storage.version)
    assert (await here.apply(deployment("d"))).sent == 0
    await here.apply(deployment("d", image="other"))
    stored = here.api.read(DEPLOYMENTS, "d")
    assert stored["spec"]["replicas"] == 7
    assert stored["metadata"]["labels"] == {"app": "d", "team": "x"}
    assert stored["metadata"]["annotations"]["revision"] == "1"


async def test_drift_while_no_operator_ran_is_undone(api: FakeApi) -> None:
    api.create(WIDGETS, widget("w"))
    children = [config_map(name, a="1") for name in ("c1", "c2")]
    async with api.client() as client:
        async with world(api, client) as first:
            await first.apply(*children)
        api.edit(CONFIG_MAPS, "c2", {"data": {"a": "tampered"}})
        async with world(api, client) as second:
            await second.apply(*children)
    assert api.read(CONFIG_MAPS, "c2")["data"] == {"a": "1"}


async def test_fields_of_another_applier_on_the_same_object_settle(here: World) -> None:
    await here.apply(config_map("c1", a="1"), config_map("c2", a="1"))
    kind, key = (CONFIG_MAPS.api_version, CONFIG_MAPS.kind), ("default", "c2")
    foreign = {"metadata": {"labels": {"gitops": "yes"}}}
    here.api._told(lambda: here.api.storage.apply("configmaps", kind, key, foreign, "gitops", force=False))
    await eventually(lambda: _version(here, CONFIG_MAPS, "c2") == here.api.storage.version)
    await here.apply(config_map("c1", a="1"), config_map("c2", a="1"))
    here.api.calls.clear()
    for _ in range(3):
        await here.apply(config_map("c1", a="1"), config_map("c2", a="1"))
    assert here.api.writes() == []
    assert here.api.read(CONFIG_MAPS, "c2")["metadata"]["labels"] == {"gitops": "yes"}


@pytest.mark.parametrize("code,error", [(403, Forbidden), (422, Invalid), (404, NotFound)])
async def test_refused_child_does_not_stop_the_others(here: World, code: int, error: type[Exception]) -> None:
    here.api.fault(faults.refuse(code), verb="create", plural="configmaps")
    applied = await here.apply(config_map("c"), deployment("d"))
    assert applied.sent == 1
    [refusal] = applied.refused
    assert (refusal.kind, refusal.key.name, type(refusal.error)) == ("ConfigMap", "c", error)


async def test_unreachable_server_stops_at_once(here: World) -> None:
    here.api.fault(faults.reset, verb="create")
    with pytest.raises(Unreachable):
        await here.apply(config_map("c"), deployment("d"))
    assert len(here.api.called("create")) == 1


async def test_no_op_apply_counts_as_no_write(here: World) -> None:
    await here.apply(config_map("c", a="1"))
    await here.apply(config_map("c", a="2"))
    here.applier._applied._by_shape[shape_of(here.applier._owned(config_map("c", a="2"), here.owner)), False] = 1
    request = here.request()
    assert (await here.applier.apply(request, here.owner, [config_map("c", a="2")])).sent == 1
    assert request.writes.count == 0
    assert request.writes.children == 1


async def test_applier_made_after_the_caches_were_filled_is_refused(here: World) -> None:
    with pytest.raises(RuntimeError, match="before the Runtime runs"):
        Applier(here.applier._client, here.stores, root=here.source(WIDGETS), field_manager="other", mark=MARK)
