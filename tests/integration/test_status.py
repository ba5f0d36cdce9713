"""Step 1: a status that can be trusted, followed state by state."""

import itertools

import pytest
from integration.api import AGENTS, Document
from integration.kubelet import ON_HAND, Kubelet, running, waiting
from integration.namespace import NGINX, Namespace, condition
from integration.waiting import eventually

pytestmark = pytest.mark.step1


def statuses(states: list[Document]) -> list[Document]:
    """Every different status in a history, after the mark of the installation that comes first."""
    found: list[Document] = []
    for state in states:
        status = state.get("status")
        if status and set(status) != {"installation"} and (not found or status != found[-1]):
            found.append(status)
    return found


def assert_sound(found: list[Document]) -> None:
    """What holds of every status and between each and the next."""
    for status in found:
        assert {c["observedGeneration"] for c in status["conditions"]} == {status["observedGeneration"]}
        assert all(c["lastTransitionTime"] and c["reason"] for c in status["conditions"])
        if status["phase"] == "Running":
            assert status["readyReplicas"] >= 1
    for before, after in itertools.pairwise(found):
        known = {c["type"]: c for c in before["conditions"]}
        for entry in after["conditions"]:
            old = known.get(entry["type"])
            if old is not None and old["status"] == entry["status"]:
                assert old["lastTransitionTime"] == entry["lastTransitionTime"], entry["type"]


async def test_every_condition_is_about_the_generation_it_was_seen_at(namespace: Namespace) -> None:
    async with namespace.history("subject") as states:
        await namespace.create("subject", agent={**NGINX, "environment": {"files": [{"path": "a", "content": "b"}]}})
        await namespace.reaches("subject", "Running", ready="True")
        await namespace.edit("subject", replicas=2)
        await namespace.reaches("subject", "Running", ready="True")
        await namespace.edit("subject", suspend=True)
        await namespace.says("subject", "Suspended")
        await namespace.edit("subject", suspend=False)
        await namespace.reaches("subject", "Running", ready="True")

    found = statuses(states)
    assert_sound(found)
    assert {status["phase"] for status in found} == {"Pending", "Running"}
    kinds = ["Accepted", "WorkspacePrepared", "Available", "Ready"]
    assert [c["type"] for c in found[-1]["conditions"]] == kinds
    assert found[-1]["observedGeneration"] == 4


async def test_running_is_never_said_before_the_agent_is_ready(namespace: Namespace, kubelet: Kubelet) -> None:
    async with namespace.history("careful") as states:
        await namespace.create("careful", resources=ON_HAND)
        (pod,) = await namespace.has_pods("careful")
        name = await kubelet.take(pod)
        await kubelet.report(name, "Pending", main={"agent": waiting("ContainerCreating")})
        await namespace.reaches("careful", "Pending")
        await kubelet.report(name, "Running", main={"agent": running()})

        async def seen_starting() -> bool:
            deployment = await namespace.api.get("deployments", "careful")
            return bool(deployment["status"].get("unavailableReplicas"))

        await eventually(seen_starting)
        await namespace.reaches("careful", "Pending", ready="False")
        assert {status["phase"] for status in statuses(states)} == {"Pending"}

        await kubelet.report(name, "Running", main={"agent": running()}, ready=True)
        await namespace.reaches("careful", "Running", ready="True")
        await kubelet.report(name, "Running", main={"agent": running()})
        agent = await namespace.reaches("careful", "Pending", ready="False")

    assert_sound(statuses(states))
    assert condition(agent, "Available")["status"] == "False"


async def test_status_written_by_somebody_else_is_put_right(namespace: Namespace) -> None:
    await namespace.create("honest")
    await namespace.reaches("honest", "Running", ready="True")
    lie = {"status": {"phase": "Failed", "message": "lies", "readyReplicas": 7}}
    await namespace.api.patch(AGENTS, "honest", lie, part="status")

    await namespace.edit("honest", replicas=2)

    agent = await namespace.reaches("honest", "Running", ready="True")
    assert agent["status"]["readyReplicas"] == 2
    assert agent["status"]["message"] == "2 of 2 Pods ready"


async def test_unknown_settings_are_named(namespace: Namespace) -> None:
    main = {"name": "main", "type": "openai", "credentialsSecret": "keys", "config": {"modle": "x"}}
    llm = {"providers": [main]}
    await namespace.create("misspelt", llm=llm)

    async def named() -> bool:
        accepted = condition(await namespace.agent("misspelt"), "Accepted")
        assert accepted.get("reason") == "UnknownSettings", accepted
        return "modle" in accepted["message"]

    await eventually(named)
