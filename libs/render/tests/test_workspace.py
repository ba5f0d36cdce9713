"""The workspace: gone with the Pod, or on a claim that outlives it."""

from typing import Any

import pytest

from agent_api.agenttype import AgentType
from agent_api.problems import examine
from agent_render import PlatformSettings, pod_template, render

SETTINGS = PlatformSettings()


def agent(workspace: dict[str, Any] | None = None, **spec: Any) -> AgentType:
    given = {"workspace": workspace} if workspace is not None else {}
    verdict = examine(
        {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": "web", "namespace": "agents"},
            "spec": {"agent": {"image": "a"}, **given, **spec},
        }
    )
    assert verdict.agent is not None, verdict.problems
    return verdict.agent


def volume(found: AgentType, settings: PlatformSettings = SETTINGS) -> dict[str, Any]:
    volumes = pod_template(found, settings)["spec"]["volumes"]
    return next(one for one in volumes if one["name"] == "workspace")


def children(found: AgentType, settings: PlatformSettings = SETTINGS) -> dict[str, dict[str, Any]]:
    return {manifest["kind"]: manifest for manifest in render(found, settings)}


@pytest.mark.parametrize("workspace,size", [(None, "5Gi"), ({}, "5Gi"), ({"size": "1Gi"}, "1Gi")])
def test_it_is_a_folder_of_the_pod_unless_it_is_to_persist(workspace: dict[str, Any] | None, size: str) -> None:
    found = agent(workspace)

    assert volume(found) == {"name": "workspace", "emptyDir": {"sizeLimit": size}}
    assert "PersistentVolumeClaim" not in children(found)
    assert "strategy" not in children(found)["Deployment"]["spec"]


def test_a_claim_of_one_pod_at_a_time_is_let_go_of_before_the_next_pod() -> None:
    found = agent({"persistent": True, "size": "2Gi"})

    assert volume(found) == {"name": "workspace", "persistentVolumeClaim": {"claimName": "web-workspace"}}
    assert children(found)["Deployment"]["spec"]["strategy"] == {"type": "Recreate", "rollingUpdate": None}
    claim = children(found)["PersistentVolumeClaim"]
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}


def test_a_shared_claim_rolls_as_usual() -> None:
    found = agent({"persistent": True, "accessMode": "ReadWriteMany"}, replicas=3)

    assert "strategy" not in children(found)["Deployment"]["spec"]


@pytest.mark.parametrize("policy,retained", [(None, True), ("retain", True), ("delete", False)])
def test_a_claim_is_retained_unless_the_author_says_otherwise(policy: str | None, retained: bool) -> None:
    found = agent({"persistent": True, **({"deletionPolicy": policy} if policy else {})})

    annotations = children(found)["PersistentVolumeClaim"]["metadata"].get("annotations", {})

    assert ("agents.example.com/retained" in annotations) is retained


@pytest.mark.parametrize("own,expected", [({}, "platform"), ({"storageClass": "mine"}, "mine")])
def test_claims_are_of_the_authors_class_or_the_platforms(own: dict[str, str], expected: str) -> None:
    settings = PlatformSettings(storage_class="platform")
    memory = {"type": "redis", "config": {"persistence": True, **own}}
    found = children(agent({"persistent": True, **own}, memory=memory), settings)

    assert found["PersistentVolumeClaim"]["spec"]["storageClassName"] == expected
    (template,) = found["StatefulSet"]["spec"]["volumeClaimTemplates"]
    assert template["spec"]["storageClassName"] == expected


def test_the_home_of_an_agent_may_be_its_workspace() -> None:
    def home(found: AgentType) -> list[str]:
        env = pod_template(found, SETTINGS)["spec"]["containers"][0]["env"]
        return [entry["value"] for entry in env if entry["name"] == "HOME"]

    assert home(agent({"home": True})) == ["/workspace"]
    assert home(agent()) == []
