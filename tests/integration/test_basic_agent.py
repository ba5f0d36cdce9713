"""Step 1: creation, deletion, invalid configuration."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.api import AGENTS, RefusedError
from integration.cluster import ROOT
from integration.namespace import AGENT_LABEL, NGINX, Namespace
from integration.waiting import eventually

pytestmark = pytest.mark.step1

MANIFESTS = ROOT / "tests" / "manifests"
LABELS = {
    AGENT_LABEL: "basic-agent",
    "app.kubernetes.io/name": "agent",
    "app.kubernetes.io/instance": "basic-agent",
    "app.kubernetes.io/component": "agent",
    "app.kubernetes.io/managed-by": "agentberth",
    "app.kubernetes.io/part-of": "agentberth",
}


def manifests(kind: str) -> list[Path]:
    return sorted((MANIFESTS / kind).glob("*.yaml"))


async def test_create_agent(namespace: Namespace) -> None:
    """Should create a basic agent pod."""
    await namespace.api.create(AGENTS, yaml.safe_load((MANIFESTS / "valid" / "basic-agent.yaml").read_text()))

    agent = await namespace.reaches("basic-agent", "Running", ready="True")

    (pod,) = await namespace.pods("basic-agent")
    assert pod["status"]["phase"] == "Running"
    assert pod["metadata"]["labels"].items() >= LABELS.items()
    assert [c["name"] for c in pod["spec"]["containers"]] == [agent["spec"]["agent"]["name"]]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["enableServiceLinks"] is False


async def test_every_child_is_labelled_and_owned(namespace: Namespace) -> None:
    ports = [{"name": "http", "containerPort": 8080}]
    files = [{"path": "words.txt", "content": "a"}]
    await namespace.create("basic-agent", agent={**NGINX, "ports": ports, "environment": {"files": files}})
    agent = await namespace.reaches("basic-agent", "Running")

    children = await namespace.children("basic-agent")

    assert children == {
        "serviceaccounts": ["basic-agent-agent"],
        "configmaps": ["basic-agent-berth"],
        "networkpolicies": ["basic-agent"],
        "services": ["basic-agent"],
        "deployments": ["basic-agent"],
    }
    for plural, names in children.items():
        metadata = (await namespace.api.get(plural, names[0]))["metadata"]
        assert metadata["labels"].items() >= LABELS.items()
        (owner,) = metadata["ownerReferences"]
        assert owner["uid"] == agent["metadata"]["uid"]
        assert owner["controller"] is True
        assert owner["blockOwnerDeletion"] is True


async def test_status_is_told_by_columns_and_event(namespace: Namespace) -> None:
    await namespace.create("basic-agent")
    agent = await namespace.reaches("basic-agent", "Running", ready="True")

    shown = await namespace.api.table(AGENTS, "basic-agent")
    assert (shown["Status"], shown["Ready"], shown["Reason"]) == ("Running", "True", "Ready")
    assert shown["Age"]
    assert agent["status"]["message"] == "1 of 1 Pods ready"

    async def told() -> bool:
        events = {(e["type"], e["reason"]) for e in await namespace.events("basic-agent")}
        return ("Normal", "Ready") in events

    await eventually(told)


async def test_should_handle_missing_image_properly(namespace: Namespace) -> None:
    """Should handle missing image properly."""
    with pytest.raises(RefusedError, match="an image is needed") as refusal:
        await namespace.create("faceless", agent={"name": "web"})

    assert refusal.value.status == 422
    assert await namespace.api.find(AGENTS, "faceless") is None
    assert await namespace.children("faceless") == {}
    assert await namespace.pods("faceless") == []


async def test_server_refuses_every_invalid_manifest_with_its_message(namespace: Namespace) -> None:
    wrong = {}
    for file in manifests("invalid"):
        expected: dict[str, str] = dict(re.findall(r"^# (\w+): (.*)$", file.read_text(), re.MULTILINE))
        try:
            await namespace.api.create(AGENTS, yaml.safe_load(file.read_text()))
            wrong[file.stem] = "was accepted"
        except RefusedError as refusal:
            if expected.get("server", expected["message"]) not in refusal.message:
                wrong[file.stem] = refusal.message

    assert wrong == {}
    assert await namespace.api.list(AGENTS) == []
    assert await namespace.api.list("pods") == []


async def test_server_takes_every_valid_manifest(namespace: Namespace) -> None:
    names = []
    for file in manifests("valid"):
        document: dict[str, Any] = yaml.safe_load(file.read_text())
        await namespace.api.create(AGENTS, document)
        names.append(document["metadata"]["name"])

    for name in names:
        assert (await namespace.finds("deployments", name))["metadata"]["labels"][AGENT_LABEL] == name
