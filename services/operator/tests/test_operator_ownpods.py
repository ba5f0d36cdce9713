"""Whose a Pod is: labels and names can be put on anything, so what made it must itself be the agent's."""

from typing import Any

import msgspec
import pytest

from agent_kube import PartialObject, Source, Stores
from agent_operator.sources import (
    ALL,
    PODS_OF_AGENTS,
    RUNS,
    SCHEDULES,
    SERVERS,
    AgentObject,
    JobObject,
    PodObject,
    ServerObject,
)
from agent_operator.status.ownpods import own_pods

OBJ = msgspec.json.decode(
    b'{"metadata": {"name": "subject", "namespace": "team", "uid": "uid-agent"}, "spec": {}}', type=AgentObject
)
MODELS: dict[str, tuple[Source[Any], Any]] = {
    "Job": (RUNS, JobObject),
    "StatefulSet": (SERVERS, ServerObject),
    "CronJob": (SCHEDULES, PartialObject),
    "Pod": (PODS_OF_AGENTS, PodObject),
}


def put(stores: Stores, kind: str, name: str, owner: tuple[str, str] | None) -> None:
    """One object of the agent's labels, which the `(kind, name)` of `owner` controls."""
    source, model = MODELS[kind]
    references = [{"kind": owner[0], "name": owner[1], "uid": f"uid-{owner[1]}", "controller": True}] if owner else []
    metadata = {
        "name": name,
        "namespace": "team",
        "uid": f"uid-{name}",
        "labels": {"agents.example.com/agent": "subject"},
        "ownerReferences": references,
    }
    stores[source].put("", msgspec.convert({"metadata": metadata}, model))


def found(*objects: tuple[str, str, tuple[str, str] | None]) -> list[str]:
    stores = Stores(ALL)
    for each in objects:
        put(stores, *each)
    return [pod.metadata.name for pod in own_pods(stores, OBJ)]


AGENT = ("AgentType", "agent")


@pytest.mark.parametrize("kind", ["Job", "StatefulSet"])
def test_pods_of_the_agents_own_workload(kind: str) -> None:
    assert found((kind, "w", AGENT), ("Pod", "p", (kind, "w"))) == ["p"]


def test_pods_of_a_run_of_the_agents_schedule() -> None:
    assert found(("CronJob", "c", AGENT), ("Job", "c-1", ("CronJob", "c")), ("Pod", "p", ("Job", "c-1"))) == ["p"]


@pytest.mark.parametrize("kind", ["Job", "StatefulSet"])
@pytest.mark.parametrize("owner", [None, ("AgentType", "other"), ("CronJob", "nowhere")])
def test_pods_of_a_labelled_workload_of_others_are_not_the_agents(kind: str, owner: tuple[str, str] | None) -> None:
    assert found((kind, "w", owner), ("Pod", "p", (kind, "w"))) == []


@pytest.mark.parametrize("owner", [None, ("AgentType", "other"), ("CronJob", "c")], ids=["none", "other", "itself"])
def test_pods_of_a_schedule_of_others_are_not_the_agents(owner: tuple[str, str] | None) -> None:
    assert found(("CronJob", "c", owner), ("Job", "c-1", ("CronJob", "c")), ("Pod", "p", ("Job", "c-1"))) == []


def test_a_workload_is_looked_for_among_its_own_kind() -> None:
    assert found(("StatefulSet", "w", AGENT), ("Pod", "p", ("Job", "w"))) == []
