"""A persistent workspace: its claim is made once, and outlives the AgentType or goes with it."""

from typing import Any

import pytest
from integration.api import AGENTS, Document
from integration.team import Team
from integration.waiting import eventually

CLAIMS = "persistentvolumeclaims"
pytestmark = pytest.mark.step1


def claimed(**workspace: Any) -> Document:
    return {"workspace": {"persistent": True, "size": "1Gi", **workspace}}


async def gone(team: Team, plural: str, name: str) -> None:
    async def look() -> bool:
        return await team.api.find(plural, name) is None

    await eventually(look)


async def test_a_retained_claim_stays_and_is_taken_up_again(team: Team) -> None:
    await team.create("keeper", **claimed())
    before = await team.finds(CLAIMS, "keeper-workspace")
    assert "ownerReferences" not in before["metadata"]
    deployment = await team.finds("deployments", "keeper")
    assert deployment["spec"]["strategy"]["type"] == "Recreate"

    await team.api.delete(AGENTS, "keeper")
    await gone(team, "deployments", "keeper")
    await team.create("keeper", **claimed(size="3Gi"))
    await team.finds("deployments", "keeper")

    after = await team.api.get(CLAIMS, "keeper-workspace")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_a_claim_to_be_deleted_belongs_to_its_agent(team: Team) -> None:
    await team.create("passing", **claimed(deletionPolicy="delete"))

    claim = await team.finds(CLAIMS, "passing-workspace")

    (owner,) = claim["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("AgentType", "passing")


async def test_an_agent_becomes_persistent_while_it_runs(team: Team) -> None:
    """The server keeps the settings of a rolling update that it filled in itself, and refuses them beside Recreate."""
    await team.create("changing")
    await team.finds("deployments", "changing")

    await team.edit("changing", workspace={"persistent": True})

    async def recreated() -> bool:
        strategy = (await team.api.get("deployments", "changing"))["spec"]["strategy"]
        return bool(strategy == {"type": "Recreate"})

    await eventually(recreated)


async def test_a_workspace_that_persists_no_longer_keeps_its_claim(team: Team) -> None:
    await team.create("wavering", **claimed())
    await team.finds(CLAIMS, "wavering-workspace")

    await team.edit("wavering", workspace={"persistent": False, "size": "2Gi"})

    async def ephemeral() -> bool:
        found = await team.api.find("deployments", "wavering")  # it is made after the claim
        volumes = found["spec"]["template"]["spec"]["volumes"] if found else []
        return any(volume.get("emptyDir", {}).get("sizeLimit") == "2Gi" for volume in volumes)

    await eventually(ephemeral)
    assert await team.api.find(CLAIMS, "wavering-workspace") is not None


async def test_what_cannot_change_of_a_claim_stays_as_it_was_made(team: Team) -> None:
    await team.create("fixed", **claimed(storageClass="first"))
    await team.finds(CLAIMS, "fixed-workspace")

    await team.edit("fixed", workspace={"storageClass": "second", "accessMode": "ReadWriteMany", "size": "7Gi"})

    async def applied() -> bool:
        agent = await team.agent("fixed")
        return bool(agent.get("status", {}).get("observedGeneration") == agent["metadata"]["generation"])

    await eventually(applied)
    claim = await team.api.get(CLAIMS, "fixed-workspace")
    assert claim["spec"]["storageClassName"] == "first"
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert (await team.agent("fixed"))["status"]["reason"] not in {"ApplyRefused", "Forbidden"}
