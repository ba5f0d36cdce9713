"""Whose a Pod is: labels and names can be put on anything, so what made it must itself be the agent's."""

from typing import Any

import msgspec
import pytest

from agent_kube import PartialObject, Source, Stores
from agent_operator.objects import AgentObject, DeploymentObject, JobObject, PodObject, ServerObject
from agent_operator.sources import (
    ALL,
    CONFIGURED,
    DEPLOYED,
    JOB_SOURCE,
    PODS_OF_AGENTS,
    REPLICATED,
    SCHEDULES,
    STATEFULSET_SOURCE,
)
from agent_operator.status.ownpods import own_pods

OBJ = msgspec.json.decode(
    b'{"metadata": {"name": "subject", "namespace": "team", "uid": "uid-agent"}, "spec": {}}', type=AgentObject
)
MODELS: dict[str, tuple[Source[Any], Any]] = {
    "Job": (JOB_SOURCE, JobObject),
    "StatefulSet": (STATEFULSET_SOURCE, ServerObject),
    "CronJob": (SCHEDULES, PartialObject),
    "ReplicaSet": (REPLICATED, PartialObject),
    "Deployment": (DEPLOYED, DeploymentObject),
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


CHAIN: tuple[tuple[str, str, tuple[str, str] | None], ...] = (
    ("Deployment", "subject", AGENT),
    ("ReplicaSet", "subject-1", ("Deployment", "subject")),
)


def test_pods_of_the_agents_deployment() -> None:
    assert found(*CHAIN, ("Pod", "p", ("ReplicaSet", "subject-1"))) == ["p"]


@pytest.mark.parametrize(
    "objects",
    [
        (("Pod", "p", ("ReplicaSet", "subject-1")),),
        (*CHAIN, ("Pod", "p", ("ReplicaSet", "subject-2"))),
        (*CHAIN, ("ReplicaSet", "subject-2", ("Deployment", "other")), ("Pod", "p", ("ReplicaSet", "subject-2"))),
        (*CHAIN, ("ReplicaSet", "subject-2", None), ("Pod", "p", ("ReplicaSet", "subject-2"))),
        (*CHAIN, ("Pod", "p", ("Deployment", "subject-1"))),
        (("Deployment", "subject", ("AgentType", "other")), CHAIN[1], ("Pod", "p", ("ReplicaSet", "subject-1"))),
    ],
    ids=["no chain", "another set", "a set of another deployment", "a set of nobody", "kinds mixed", "another agent"],
)
def test_names_and_labels_alone_make_no_pod_the_agents(objects: tuple[Any, ...]) -> None:
    assert found(*objects) == []


def kept(source: Source[Any], document: dict[str, Any]) -> Any:
    """What the cache keeps of an object as the server sends it; None when it is left out."""
    obj = source.decode(msgspec.json.encode(document))
    return obj if source.keeps(obj) else None


MEBIBYTE = "x" * (1 << 20)
HUGE = {
    "name": "p",
    "namespace": "team",
    "uid": "u",
    "labels": {"agents.example.com/agent": "subject", **{f"l{number}": "x" * 60 for number in range(5000)}},
    "annotations": {"a": MEBIBYTE},
    "finalizers": [f"example.com/{number}" for number in range(5000)],
    "ownerReferences": [
        {"kind": "ReplicaSet", "name": "n", "uid": MEBIBYTE},
        *({"kind": "K", "name": str(number), "uid": str(number)} for number in range(5000)),
        {"kind": "Job", "name": "w", "uid": "uid-w", "controller": True},
    ],
}


@pytest.mark.parametrize("source", ALL, ids=str)
def test_what_is_kept_of_an_object_is_small_however_large_it_is(source: Source[Any]) -> None:
    template = {"metadata": {"name": "data", "annotations": {"a": MEBIBYTE}}, "spec": {}}
    spec = {"suspend": False, "volumeClaimTemplates": [template]} if source is not ALL[0] else {}
    obj = kept(source, {"metadata": HUGE, "spec": spec, "data": {"glue.py": MEBIBYTE}})

    assert obj.metadata.controller.name == "w"
    assert len(msgspec.json.encode(obj)) < 4096


def test_pods_that_nothing_made_and_keys_of_any_size_are_left_out() -> None:
    alone = {**HUGE, "ownerReferences": []}
    assert kept(PODS_OF_AGENTS, {"metadata": alone}) is None
    assert kept(CONFIGURED, {"metadata": alone, "data": {"pod-key": MEBIBYTE}}) is None
