"""Agents and features in combination: valid, and what the operator makes of them fits each Kubernetes we name."""

import os
from itertools import product
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from e2e.kubectl import Document
from integration.deploy.kustomizing import DEPLOY, find_kustomizations, render

from agent_api.agenttype import AgentType
from agent_api.problems import examine
from agent_operator.platform import read_platform
from agent_render import render as render_agent

VERSIONS = ("1.33", "1.34", "1.35")
AGENTS = [folder for folder in find_kustomizations("Kustomization") if folder.is_relative_to(DEPLOY / "agents")]
OVERLAYS = [folder for folder in find_kustomizations("Kustomization") if folder.parent == DEPLOY / "overlays"]
MEMORY, TOOLS, APIS = (sorted((DEPLOY / "features" / kind).iterdir()) for kind in ("memory", "tools", "apis"))
PLATFORM = read_platform(DEPLOY / "base/operator/platform.yaml", DEPLOY / "base/catalog/tools.yaml")
FOREIGN = ("monitoring.coreos.com", "agents.example.com", "apiextensions.k8s.io")
"""API groups that Kubernetes' own schemas do not have."""


def combine(folder: Path, agent: Path, *features: Path) -> Document:
    """The AgentType of an agent with features over it."""
    places = {"resources": [agent], "components": [*features]}
    relative = {key: [os.path.relpath(one, folder.resolve()) for one in found] for key, found in places.items()}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(relative))
    (document,) = [one for one in render(folder) if one["kind"] == "AgentType"]
    return document


def accept(document: Document) -> AgentType:
    verdict = examine(document)
    assert verdict.agent is not None, verdict.errors
    assert not verdict.problems
    return verdict.agent


def fits(manifest: Document, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def label(folder: Path) -> str:
    return folder.name


@pytest.mark.parametrize("agent", AGENTS, ids=label)
def test_every_agent_takes_every_feature(agent: Path, tmp_path: Path) -> None:
    """Each pair of features comes up; an in-Pod memory with several Pods is refused, and that is said."""
    scaled = "scaling" in combine(tmp_path, agent)["spec"]
    for memory, tools, apis in zip(MEMORY, TOOLS, (*APIS, APIS[0]), strict=True):
        document = combine(tmp_path, agent, memory, tools, apis)
        if scaled and memory.name == "small":
            assert "inmemory" in str(examine(document).errors[0])
            continue
        for manifest, version in product(render_agent(accept(document), PLATFORM), VERSIONS):
            fits(manifest, version)


@pytest.mark.parametrize("agent", AGENTS, ids=label)
def test_every_agent_alone_is_small_versioned_and_restricted(agent: Path, tmp_path: Path) -> None:
    accepted = accept(combine(tmp_path, agent))

    for container in containers_of(render_agent(accepted, PLATFORM)):
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        version = container["image"].rpartition(":")[2]
        assert version
        assert version != "latest"


def containers_of(manifests: tuple[Document, ...]) -> list[Document]:
    (workload,) = [one for one in manifests if one["kind"] in {"Deployment", "Job", "CronJob"}]
    spec: dict[str, Any] = workload["spec"]
    pod = spec.get("jobTemplate", {}).get("spec", spec)["template"]["spec"]
    return [*pod.get("initContainers", ()), *pod["containers"]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", [DEPLOY / "base", *OVERLAYS], ids=label)
def test_every_overlay_fits(overlay: Path, version: str) -> None:
    documents = render(overlay)

    for document in documents:
        if document["apiVersion"].partition("/")[0] not in FOREIGN:
            fits(document, version)
    assert {"Deployment", "ClusterRole", "ConfigMap"} <= {document["kind"] for document in documents}


def test_the_agents_of_the_overlays_are_valid() -> None:
    agents = [one for overlay in OVERLAYS for one in render(overlay) if one["kind"] == "AgentType"]

    assert agents
    for agent in agents:
        accept(agent)
