"""Step 1: deletion.

The garbage collector learns of a new kind within 30 s, so these tests are fastest when others have run before.
"""

import pytest
from integration.api import AGENTS
from integration.namespace import AGENT_LABEL, NGINX, Namespace
from integration.waiting import eventually

pytestmark = pytest.mark.step1


async def test_should_clean_up_resources_when_agent_is_deleted(namespace: Namespace) -> None:
    """Should clean up resources when agent is deleted."""
    ports = [{"name": "http", "containerPort": 8080}]
    files = [{"path": "words.txt", "content": "a"}]
    await namespace.create("short-lived", agent={**NGINX, "ports": ports, "environment": {"files": files}})
    await namespace.reaches("short-lived", "Running")
    assert len(await namespace.pods("short-lived")) == 1

    await namespace.api.delete(AGENTS, "short-lived")

    async def gone() -> bool:
        assert await namespace.children("short-lived") == {}
        assert await namespace.api.list("pods", f"{AGENT_LABEL}=short-lived") == []
        return await namespace.api.find(AGENTS, "short-lived") is None

    await eventually(gone)


async def test_same_name_made_anew_gets_children_of_its_own(namespace: Namespace) -> None:
    await namespace.create("phoenix")
    first = await namespace.reaches("phoenix", "Running")
    await namespace.api.delete(AGENTS, "phoenix")

    async def created() -> bool:
        await namespace.create("phoenix")
        return True

    await eventually(created)
    second = await namespace.reaches("phoenix", "Running")

    async def owned_by_the_second() -> bool:
        deployment = await namespace.finds("deployments", "phoenix")
        owners = [owner["uid"] for owner in deployment["metadata"]["ownerReferences"]]
        assert owners == [second["metadata"]["uid"]]
        return True

    await eventually(owned_by_the_second)
    assert first["metadata"]["uid"] != second["metadata"]["uid"]


async def test_removed_part_is_pruned(namespace: Namespace) -> None:
    ports = [{"name": "http", "containerPort": 8080}]
    files = [{"path": "words.txt", "content": "a"}]
    await namespace.create("slimmer", agent={**NGINX, "ports": ports, "environment": {"files": files}})
    await namespace.reaches("slimmer", "Running")
    stranger = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "stranger", "labels": {AGENT_LABEL: "slimmer"}},
    }
    await namespace.api.create("configmaps", stranger)

    await namespace.edit("slimmer", agent={"ports": None, "environment": None})

    async def pruned() -> bool:
        kept = {name: ["slimmer"] for name in ("deployments", "networkpolicies")}
        accounts = {"serviceaccounts": ["slimmer-agent"]}
        return await namespace.children("slimmer") == {**kept, **accounts, "configmaps": ["stranger"]}

    await eventually(pruned)


async def test_child_that_somebody_deletes_is_made_again(namespace: Namespace) -> None:
    await namespace.create("stubborn", agent={**NGINX, "ports": [{"name": "http", "containerPort": 8080}]})
    await namespace.reaches("stubborn", "Running")
    before = await namespace.children("stubborn")

    for plural, names in before.items():
        await namespace.api.delete(plural, names[0])

    async def back() -> bool:
        return await namespace.children("stubborn") == before

    await eventually(back)
    await namespace.reaches("stubborn", "Running", ready="True")
