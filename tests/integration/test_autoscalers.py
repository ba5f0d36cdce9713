"""The number of Pods is the AgentType's, its autoscaler's or somebody else's; no change of hands drops a Pod."""

import asyncio
from typing import Any, Self

import pytest
from integration.api import APPLY, Document
from integration.namespace import Namespace, condition
from integration.waiting import eventually, throughout

pytestmark = pytest.mark.step5


def autoscaler(name: str, target: str) -> Document:
    """As KEDA makes one. Without metrics of the cluster it changes nothing by itself."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": 1,
            "maxReplicas": 10,
        },
    }


async def scale(namespace: Namespace, name: str, replicas: int) -> None:
    """As an autoscaler's controller does."""
    await namespace.api.patch(
        "deployments", name, {"spec": {"replicas": replicas}}, part="scale", manager="some-autoscaler"
    )


async def replicas(namespace: Namespace, name: str) -> int:
    found: int = (await namespace.api.get("deployments", name))["spec"]["replicas"]
    return found


class Watched:
    """The numbers of Pods that a Deployment asked for meanwhile."""

    def __init__(self, namespace: Namespace, name: str) -> None:
        self._namespace, self._name = namespace, name
        self.numbers: list[int] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _follow(self) -> None:
        async for state in self._namespace.api.follow("deployments", self._name):
            self.numbers.append(state["spec"]["replicas"])


async def handed_over(namespace: Namespace, name: str) -> None:
    async def look() -> bool:
        metadata = (await namespace.api.get("deployments", name))["metadata"]
        return "agents.example.com/replicas" in metadata.get("annotations", {})

    await eventually(look)


async def test_somebody_elses_autoscaler_decides_and_is_named(namespace: Namespace) -> None:
    await namespace.create("shared", replicas=2)
    await namespace.reaches("shared", "Running", ready="True")
    async with Watched(namespace, "shared") as watched:
        await namespace.api.create("horizontalpodautoscalers", autoscaler("theirs", "shared"))
        await handed_over(namespace, "shared")
        await scale(namespace, "shared", 4)

        async def told() -> Document:
            found = await namespace.agent("shared")
            assert (
                found["status"]["message"] == "4 of 4 Pods ready; HorizontalPodAutoscaler theirs decides their number"
            )
            return found

        found = await eventually(told)
        assert condition(found, "Ready")["status"] == "True"
        version = (await namespace.api.get("deployments", "shared"))["metadata"]["generation"]

        async def left_alone() -> None:
            assert (await namespace.api.get("deployments", "shared"))["metadata"]["generation"] == version

        await throughout(left_alone, for_s=2.0)
        assert min(watched.numbers) == 2

        await namespace.api.delete("horizontalpodautoscalers", "theirs")

        await eventually(
            lambda: _asks_for(namespace, "shared", 2)
        )  # the spec has a number, so that is what counts again
    assert set(watched.numbers) <= {2, 4}


async def test_scaling_added_and_removed_drops_no_pod(namespace: Namespace) -> None:
    await namespace.create("grows", replicas=5)
    await namespace.reaches("grows", "Running", ready="True")
    async with Watched(namespace, "grows") as watched:
        await namespace.edit("grows", replicas=None, scaling={"minReplicas": 2, "maxReplicas": 9})
        await namespace.reaches("grows", "Running", ready="True")
        await namespace.finds("horizontalpodautoscalers", "grows")
        await scale(namespace, "grows", 6)
        await namespace.reaches("grows", "Running", ready="True")

        await namespace.edit("grows", scaling=None)

        async def gone() -> bool:
            return await namespace.api.find("horizontalpodautoscalers", "grows") is None

        await eventually(gone)
        await throughout(lambda: _keeps(namespace, "grows", 6), for_s=1.5)

        await namespace.edit("grows", replicas=3)
        await eventually(lambda: _asks_for(namespace, "grows", 3))
    assert set(watched.numbers) <= {3, 5, 6}


async def test_an_agent_wakes_up_with_an_autoscaler(namespace: Namespace) -> None:
    await namespace.create("sleeps", suspend=True, scaling={"minReplicas": 1, "maxReplicas": 3})
    await namespace.says("sleeps", "Suspended")

    await namespace.edit("sleeps", suspend=False)

    await namespace.reaches("sleeps", "Running", ready="True")


async def test_a_writer_of_the_other_target_is_followed(namespace: Namespace) -> None:
    """An autoscaler on the AgentType writes `spec.replicas` of its scale."""
    await namespace.create("scaled", replicas=1)
    await namespace.reaches("scaled", "Running", ready="True")

    await namespace.api.patch(
        "agenttypes", "scaled", {"spec": {"replicas": 3}}, part="scale", manager="some-autoscaler"
    )

    await eventually(lambda: _asks_for(namespace, "scaled", 3))


async def test_a_kubectl_user_of_server_side_apply_beside_it_changes_nothing(namespace: Namespace) -> None:
    await namespace.create("applied", replicas=2)
    await namespace.reaches("applied", "Running", ready="True")
    patch: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "applied", "annotations": {"team": "a"}},
    }
    path = f"/apis/apps/v1/namespaces/{namespace.name}/deployments/applied"
    await namespace.api.call("PATCH", path, patch, media=APPLY, query={"fieldManager": "kubectl"})

    await throughout(lambda: _keeps(namespace, "applied", 2), for_s=1.0)


async def _asks_for(namespace: Namespace, name: str, number: int) -> bool:
    return await replicas(namespace, name) == number


async def _keeps(namespace: Namespace, name: str, number: int) -> None:
    assert await replicas(namespace, name) == number


async def test_a_fight_names_the_other_writer_from_the_second_time_on(namespace: Namespace) -> None:
    """Not an autoscaler that the API knows of: a script that scales the Deployment by itself."""
    await namespace.create("fought", replicas=2)
    await namespace.reaches("fought", "Running", ready="True")

    await scale(namespace, "fought", 5)
    await eventually(lambda: _asks_for(namespace, "fought", 2))
    await namespace.reaches("fought", "Running", ready="True")  # one change is drift, and undone
    await scale(namespace, "fought", 5)

    found = await namespace.says("fought", "Contested")
    assert "Deployment fought: some-autoscaler changed what the operator sets 2 times" in found["status"]["message"]
    assert condition(found, "Ready")["status"] == "False"
    await eventually(lambda: _asks_for(namespace, "fought", 2))
