"""Applying to a real API server: its defaults, its controllers, its garbage collector, its refusals."""

import asyncio
from typing import Any, Self

import pytest
from integration.kube.cluster import eventually, list_names, real_deployment
from libs.kube.tests.kinds import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    MANAGER,
    MARK,
    WIDGETS,
    config_map,
    config_maps,
    deployment,
    deployments,
    widget,
    widgets,
)
from libs.kube.tests.kinds import (
    eventually as locally,
)

from agent_base.backoff import Backoff
from agent_kube import (
    Applier,
    Client,
    Conflict,
    Invalid,
    ObjectKey,
    Request,
    Resource,
    Source,
    Stores,
)
from agent_kube.cache.watcher import Watcher

HPAS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")


SERVICES = Resource("", "v1", "services", "Service")


class World:
    def __init__(self, client: Client, namespace: str, *extra: Source[Any]) -> None:
        self.client, self.namespace = client, namespace
        self.root, self.deploys, self.maps = widgets(), deployments(), config_maps()
        self.stores = Stores([self.root, self.deploys, self.maps, *extra], namespaces=(namespace,))
        self.applier = Applier(client, self.stores, root=self.root, field_manager=MANAGER, mark=MARK)

    async def __aenter__(self) -> Self:
        watchers = [
            Watcher(self.client, store, self.namespace, backoff=Backoff(first_s=0.05, longest_s=30))
            for store in self.stores
        ]
        self.tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
        await self.stores.wait_synced()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)

    async def apply(self, *children: dict[str, Any]) -> Any:
        owner = await locally(lambda: self.stores[self.root].get(ObjectKey(self.namespace, "w")))
        request = Request(owner.key, "id")
        applied = await self.applier.apply(request, owner, children)
        applied.raise_first()
        await locally(lambda: all(expectation.met(self.stores) for expectation in request.writes.expected))
        return applied


def children(namespace: str) -> list[dict[str, Any]]:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"selector": {"app": "d"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            "minReplicas": 1,
            "maxReplicas": 3,
        },
    }
    return [config_map("c", namespace, a="1"), real_deployment("d", namespace), service, hpa]


async def test_controllers_and_defaults_cause_no_second_apply(client: Client, namespace: str) -> None:
    """Deployment revisions and status, Service addresses, HPA conditions: none of it is drift."""
    await client.create(WIDGETS, widget("w", namespace))
    async with World(client, namespace, Source(SERVICES), Source(HPAS)) as world:
        assert (await world.apply(*children(namespace))).sent == 4
        deploy = ObjectKey(namespace, "d")
        await eventually(lambda: _field(client, DEPLOYMENTS, deploy, "status", "observedGeneration"))
        await asyncio.sleep(0.5)
        assert (await world.apply(*children(namespace))).sent == 0
        answer = await client.patch(DEPLOYMENTS, deploy, {"spec": {"replicas": 3}}, field_manager="autoscaler")
        await locally(lambda: world.stores[world.deploys].version(namespace) >= int(answer.resource_version))
        assert (await world.apply(*children(namespace))).sent == 1  # `replicas` was ours by default, and is no longer
        scaled = {"metadata": {"labels": {"team": "x"}, "annotations": {"note": "y"}}}
        answer = await client.patch(DEPLOYMENTS, deploy, scaled, field_manager="person")
        await locally(lambda: world.stores[world.deploys].version(namespace) >= int(answer.resource_version))
        for _ in range(5):
            await asyncio.sleep(0.2)
            assert (await world.apply(*children(namespace))).sent == 0
        live = await client.get(DEPLOYMENTS, deploy)
        assert live["spec"]["replicas"] == 3
        assert live["metadata"]["labels"] == {"app": "d", "team": "x"}


async def test_restart_sends_only_what_was_changed_meanwhile(client: Client, namespace: str) -> None:
    await client.create(WIDGETS, widget("w", namespace))
    many = [real_deployment(f"d{number}", namespace) for number in range(6)]
    async with World(client, namespace) as first:
        await first.apply(*many)
    await eventually(lambda: _field(client, DEPLOYMENTS, ObjectKey(namespace, "d5"), "status", "observedGeneration"))
    await client.patch(DEPLOYMENTS, ObjectKey(namespace, "d3"), _image("evil"), field_manager="person")
    async with World(client, namespace) as second:
        assert (await second.apply(*many)).sent == 1
        live = await client.get(DEPLOYMENTS, ObjectKey(namespace, "d3"))
        assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1"
        assert (await second.apply(*many)).sent == 0


def _image(name: str) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": name}]}}}}


async def test_drift_is_undone_and_foreign_fields_stay(client: Client, namespace: str) -> None:
    await client.create(WIDGETS, widget("w", namespace))
    async with World(client, namespace) as world:
        await world.apply(config_map("c", namespace, a="1"))
        key = ObjectKey(namespace, "c")
        changed = await client.patch(CONFIG_MAPS, key, {"data": {"a": "2", "b": "theirs"}}, field_manager="person")
        await locally(lambda: world.stores[world.maps].version(namespace) >= int(changed.resource_version))
        assert (await world.apply(config_map("c", namespace, a="1"))).sent == 1
        assert (await client.get(CONFIG_MAPS, key))["data"] == {"a": "1", "b": "theirs"}
        assert (await world.apply(config_map("c", namespace, a="1"))).sent == 0


async def test_no_op_apply_keeps_the_version(client: Client, namespace: str) -> None:
    manifest = config_map("c", namespace, a="1")
    one = await client.apply(CONFIG_MAPS, manifest, field_manager="m")
    two = await client.apply(CONFIG_MAPS, manifest, field_manager="m")
    assert one.resource_version == two.resource_version
    assert one.owned_fields == two.owned_fields != 0


async def test_deletion_of_the_owner_takes_the_children(client: Client, namespace: str) -> None:
    await client.create(WIDGETS, widget("w", namespace))
    async with World(client, namespace) as world:
        await world.apply(config_map("c", namespace), real_deployment("d", namespace))
    await client.delete(WIDGETS, ObjectKey(namespace, "w"))

    async def gone() -> bool:
        return not await list_names(client, DEPLOYMENTS, namespace)

    await eventually(gone)
    assert "c" not in await list_names(client, CONFIG_MAPS, namespace)


async def test_status_patch_touches_only_the_status(client: Client, namespace: str) -> None:
    await client.create(WIDGETS, widget("w", namespace, size=1))
    async with World(client, namespace) as world:
        store = world.stores[world.root]
        owner = await locally(lambda: store.get(ObjectKey(namespace, "w")))
        request = Request(owner.key, "id")
        assert await world.applier.patch_status(request, owner, {"phase": "Running", "tools": {"git": "2"}})
        await locally(lambda: all(expectation.met(world.stores) for expectation in request.writes.expected))
        owner = store.get(ObjectKey(namespace, "w"))
        assert owner is not None
        assert not await world.applier.patch_status(request, owner, {"phase": "Running", "tools": {"git": "2"}})
    live = await client.get(WIDGETS, ObjectKey(namespace, "w"))
    assert live["status"] == {"phase": "Running", "tools": {"git": "2"}}
    assert live["metadata"]["generation"] == 1


async def test_refusals_of_the_real_server(client: Client, namespace: str) -> None:
    with pytest.raises(Invalid, match=r"patch deployments\.apps .*spec\.selector"):
        await client.apply(
            DEPLOYMENTS, {**deployment("d"), "metadata": {"name": "d", "namespace": namespace}}, field_manager="m"
        )
    await client.create(CONFIG_MAPS, config_map("c", namespace))
    with pytest.raises(Conflict):
        await client.create(CONFIG_MAPS, config_map("c", namespace))
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAPS, ObjectKey(namespace, "c"), uid="00000000-0000-0000-0000-000000000000")


async def _field(client: Client, resource: Resource, key: ObjectKey, *path: str) -> Any:
    value: Any = await client.get(resource, key)
    for part in path:
        value = value.get(part) or {}
    return value
