"""The number of Pods is the AgentType's, its autoscaler's or somebody else's; no change of hands drops a Pod."""

import asyncio
from typing import Any, Self

import pytest
from integration.api import APPLY, Document
from integration.team import Team, condition
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


async def scale(team: Team, name: str, replicas: int) -> None:
    """As an autoscaler's controller does."""
    await team.api.patch("deployments", name, {"spec": {"replicas": replicas}}, part="scale", manager="some-autoscaler")


async def replicas(team: Team, name: str) -> int:
    found: int = (await team.api.get("deployments", name))["spec"]["replicas"]
    return found


class Watched:
    """The numbers of Pods that a Deployment asked for meanwhile."""

    def __init__(self, team: Team, name: str) -> None:
        self._team, self._name = team, name
        self.numbers: list[int] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _follow(self) -> None:
        async for state in self._team.api.follow("deployments", self._name):
            self.numbers.append(state["spec"]["replicas"])


async def handed_over(team: Team, name: str) -> None:
    async def look() -> bool:
        metadata = (await team.api.get("deployments", name))["metadata"]
        return "agents.example.com/replicas" in metadata.get("annotations", {})

    await eventually(look)


async def test_somebody_elses_autoscaler_decides_and_is_named(team: Team) -> None:
    await team.create("shared", replicas=2)
    await team.reaches("shared", "Running", ready="True")
    async with Watched(team, "shared") as watched:
        await team.api.create("horizontalpodautoscalers", autoscaler("theirs", "shared"))
        await handed_over(team, "shared")
        await scale(team, "shared", 4)

        async def told() -> Document:
            found = await team.agent("shared")
            assert (
                found["status"]["message"] == "4 of 4 Pods ready; HorizontalPodAutoscaler theirs decides their number"
            )
            return found

        found = await eventually(told)
        assert condition(found, "Ready")["status"] == "True"
        version = (await team.api.get("deployments", "shared"))["metadata"]["generation"]

        async def left_alone() -> None:
            assert (await team.api.get("deployments", "shared"))["metadata"]["generation"] == version

        await throughout(left_alone, for_s=2.0)
        assert min(watched.numbers) == 2

        await team.api.delete("horizontalpodautoscalers", "theirs")

        await eventually(lambda: _asks_for(team, "shared", 2))  # the spec has a number, so that is what counts again
    assert set(watched.numbers) <= {2, 4}


async def test_scaling_added_and_removed_drops_no_pod(team: Team) -> None:
    await team.create("grows", replicas=5)
    await team.reaches("grows", "Running", ready="True")
    async with Watched(team, "grows") as watched:
        await team.edit("grows", replicas=None, scaling={"minReplicas": 2, "maxReplicas": 9})
        await team.reaches("grows", "Running", ready="True")
        await team.finds("horizontalpodautoscalers", "grows")
        await scale(team, "grows", 6)
        await team.reaches("grows", "Running", ready="True")

        await team.edit("grows", scaling=None)

        async def gone() -> bool:
            return await team.api.find("horizontalpodautoscalers", "grows") is None

        await eventually(gone)
        await throughout(lambda: _keeps(team, "grows", 6), for_s=1.5)

        await team.edit("grows", replicas=3)
        await eventually(lambda: _asks_for(team, "grows", 3))
    assert set(watched.numbers) <= {3, 5, 6}


async def test_an_agent_wakes_up_with_an_autoscaler(team: Team) -> None:
    await team.create("sleeps", suspend=True, scaling={"minReplicas": 1, "maxReplicas": 3})
    await team.says("sleeps", "Suspended")

    await team.edit("sleeps", suspend=False)

    await team.reaches("sleeps", "Running", ready="True")


async def test_a_writer_of_the_other_target_is_followed(team: Team) -> None:
    """An autoscaler on the AgentType writes `spec.replicas` of its scale."""
    await team.create("scaled", replicas=1)
    await team.reaches("scaled", "Running", ready="True")

    await team.api.patch("agenttypes", "scaled", {"spec": {"replicas": 3}}, part="scale", manager="some-autoscaler")

    await eventually(lambda: _asks_for(team, "scaled", 3))


async def test_a_kubectl_user_of_server_side_apply_beside_it_changes_nothing(team: Team) -> None:
    await team.create("applied", replicas=2)
    await team.reaches("applied", "Running", ready="True")
    patch: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "applied", "annotations": {"team": "a"}},
    }
    path = f"/apis/apps/v1/namespaces/{team.namespace}/deployments/applied"
    await team.api.call("PATCH", path, patch, media=APPLY, query={"fieldManager": "kubectl"})

    await throughout(lambda: _keeps(team, "applied", 2), for_s=1.0)


async def _asks_for(team: Team, name: str, number: int) -> bool:
    return await replicas(team, name) == number


async def _keeps(team: Team, name: str, number: int) -> None:
    assert await replicas(team, name) == number


async def test_a_fight_names_the_other_writer_from_the_second_time_on(team: Team) -> None:
    """Not an autoscaler that the API knows of: a script that scales the Deployment by itself."""
    await team.create("fought", replicas=2)
    await team.reaches("fought", "Running", ready="True")

    await scale(team, "fought", 5)
    await eventually(lambda: _asks_for(team, "fought", 2))
    await team.reaches("fought", "Running", ready="True")  # one change is drift, and undone
    await scale(team, "fought", 5)

    found = await team.says("fought", "Contested")
    assert "Deployment fought: some-autoscaler changed what the operator sets 2 times" in found["status"]["message"]
    assert condition(found, "Ready")["status"] == "False"
    await eventually(lambda: _asks_for(team, "fought", 2))
