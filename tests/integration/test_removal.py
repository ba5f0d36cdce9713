"""Step 1: deletion.

The garbage collector learns of a new kind within 30 s, so these tests are fastest when others have run before.
"""

import pytest
from integration.api import AGENTS
from integration.team import AGENT_LABEL, NGINX, Team
from integration.waiting import eventually

pytestmark = pytest.mark.step1


async def test_should_clean_up_resources_when_agent_is_deleted(team: Team) -> None:
    """Should clean up resources when agent is deleted."""
    ports = [{"name": "http", "containerPort": 8080}]
    files = [{"path": "words.txt", "content": "a"}]
    await team.create("short-lived", agent={**NGINX, "ports": ports, "environment": {"files": files}})
    await team.reaches("short-lived", "Running")
    assert len(await team.pods("short-lived")) == 1

    await team.api.delete(AGENTS, "short-lived")

    async def gone() -> bool:
        assert await team.children("short-lived") == {}
        assert await team.api.list("pods", f"{AGENT_LABEL}=short-lived") == []
        return await team.api.find(AGENTS, "short-lived") is None

    await eventually(gone)


async def test_same_name_made_anew_gets_children_of_its_own(team: Team) -> None:
    await team.create("phoenix")
    first = await team.reaches("phoenix", "Running")
    await team.api.delete(AGENTS, "phoenix")

    async def created() -> bool:
        await team.create("phoenix")
        return True

    await eventually(created)
    second = await team.reaches("phoenix", "Running")

    async def owned_by_the_second() -> bool:
        deployment = await team.finds("deployments", "phoenix")
        owners = [owner["uid"] for owner in deployment["metadata"]["ownerReferences"]]
        assert owners == [second["metadata"]["uid"]]
        return True

    await eventually(owned_by_the_second)
    assert first["metadata"]["uid"] != second["metadata"]["uid"]


async def test_removed_part_is_pruned(team: Team) -> None:
    ports = [{"name": "http", "containerPort": 8080}]
    files = [{"path": "words.txt", "content": "a"}]
    await team.create("slimmer", agent={**NGINX, "ports": ports, "environment": {"files": files}})
    await team.reaches("slimmer", "Running")
    stranger = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "stranger", "labels": {AGENT_LABEL: "slimmer"}},
    }
    await team.api.create("configmaps", stranger)

    await team.edit("slimmer", agent={"ports": None, "environment": None})

    async def pruned() -> bool:
        kept = {name: ["slimmer"] for name in ("deployments", "networkpolicies")}
        accounts = {"serviceaccounts": ["slimmer-agent"]}
        return await team.children("slimmer") == {**kept, **accounts, "configmaps": ["stranger"]}

    await eventually(pruned)


async def test_child_that_somebody_deletes_is_made_again(team: Team) -> None:
    await team.create("stubborn", agent={**NGINX, "ports": [{"name": "http", "containerPort": 8080}]})
    await team.reaches("stubborn", "Running")
    before = await team.children("stubborn")

    for plural, names in before.items():
        await team.api.delete(plural, names[0])

    async def back() -> bool:
        return await team.children("stubborn") == before

    await eventually(back)
    await team.reaches("stubborn", "Running", ready="True")
