"""A persistent workspace: its claim is made once, and outlives the AgentType or goes with it."""

from typing import Any

import pytest
from integration.api import AGENTS, Document
from integration.namespace import Namespace
from integration.waiting import eventually

CLAIMS = "persistentvolumeclaims"
pytestmark = pytest.mark.step1


def claimed(**workspace: Any) -> Document:
    return {"workspace": {"persistent": True, "size": "1Gi", **workspace}}


async def gone(namespace: Namespace, plural: str, name: str) -> None:
    async def look() -> bool:
        return await namespace.api.find(plural, name) is None

    await eventually(look)


async def test_a_retained_claim_stays_and_is_taken_up_again(namespace: Namespace) -> None:
    await namespace.create("keeper", **claimed())
    before = await namespace.finds(CLAIMS, "keeper-workspace")
    assert "ownerReferences" not in before["metadata"]
    deployment = await namespace.finds("deployments", "keeper")
    assert deployment["spec"]["strategy"]["type"] == "Recreate"

    await namespace.api.delete(AGENTS, "keeper")
    await gone(namespace, "deployments", "keeper")
    await namespace.create("keeper", **claimed(size="3Gi"))
    await namespace.finds("deployments", "keeper")

    after = await namespace.api.get(CLAIMS, "keeper-workspace")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_a_claim_to_be_deleted_belongs_to_its_agent(namespace: Namespace) -> None:
    await namespace.create("passing", **claimed(deletionPolicy="delete"))

    claim = await namespace.finds(CLAIMS, "passing-workspace")

    (owner,) = claim["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("AgentType", "passing")


async def test_an_agent_becomes_persistent_while_it_runs(namespace: Namespace) -> None:
    """The server keeps the settings of a rolling update that it filled in itself, and refuses them beside Recreate."""
    await namespace.create("changing")
    await namespace.finds("deployments", "changing")

    await namespace.edit("changing", workspace={"persistent": True})

    async def recreated() -> bool:
        strategy = (await namespace.api.get("deployments", "changing"))["spec"]["strategy"]
        return bool(strategy == {"type": "Recreate"})

    await eventually(recreated)


async def test_a_workspace_that_persists_no_longer_keeps_its_claim(namespace: Namespace) -> None:
    await namespace.create("wavering", **claimed())
    await namespace.finds(CLAIMS, "wavering-workspace")

    await namespace.edit("wavering", workspace={"persistent": False, "size": "2Gi"})

    async def ephemeral() -> bool:
        found = await namespace.api.find("deployments", "wavering")  # it is made after the claim
        volumes = found["spec"]["template"]["spec"]["volumes"] if found else []
        return any(volume.get("emptyDir", {}).get("sizeLimit") == "2Gi" for volume in volumes)

    await eventually(ephemeral)
    assert await namespace.api.find(CLAIMS, "wavering-workspace") is not None


async def test_what_cannot_change_of_a_claim_stays_as_it_was_made(namespace: Namespace) -> None:
    await namespace.create("fixed", **claimed(storageClass="first"))
    await namespace.finds(CLAIMS, "fixed-workspace")

    await namespace.edit("fixed", workspace={"storageClass": "second", "accessMode": "ReadWriteMany", "size": "7Gi"})

    async def applied() -> bool:
        agent = await namespace.agent("fixed")
        return bool(agent.get("status", {}).get("observedGeneration") == agent["metadata"]["generation"])

    await eventually(applied)
    claim = await namespace.api.get(CLAIMS, "fixed-workspace")
    assert claim["spec"]["storageClassName"] == "first"
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert (await namespace.agent("fixed"))["status"]["reason"] not in {"ApplyRefused", "Forbidden"}
