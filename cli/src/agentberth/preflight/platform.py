"""The definition of AgentType, the operator, its settings and its images."""

import importlib.metadata
from collections.abc import Iterator
from typing import Any, Final

from agent_api.crd import crd
from agentberth.cluster.bundle import DEFINITION, SELECTOR
from agentberth.cluster.installation import operators
from agentberth.cluster.rollout import Rollout, troubles
from agentberth.preflight.finding import Finding, Plain, Surveyed

_INSTALL: Final = "agentberth install"
_WATCHED: Final = "AGENTBERTH_NAMESPACES"


def check_definition(surveyed: Surveyed) -> Iterator[Finding]:
    """Whether the cluster knows AgentType, as this version does."""
    found = surveyed.kubectl.get_if_present("customresourcedefinition", DEFINITION)
    if found is None:
        yield Finding("definition", "error", "the cluster does not know AgentType", _INSTALL)
        return
    conditions = {one["type"]: one for one in found.get("status", {}).get("conditions", ())}
    established = conditions.get("Established", {})
    if established.get("status") != "True":
        message = conditions.get("NamesAccepted", {}).get("message") or "it is not established"
        yield Finding(
            "definition",
            "error",
            f"the definition of AgentType is not served: {message}",
            "kubectl describe crd agenttypes.agents.example.com, and remove what has taken its names",
        )
        return
    lacking = sorted(_fields(crd()) - _fields(found))
    surplus = sorted(_fields(found) - _fields(crd()))
    if lacking:
        yield Finding(
            "definition",
            "error",
            f"the definition of AgentType is older than agentberth {_own_version()}: {_some(lacking)} would be refused",
            f"{_INSTALL} upgrades it",
        )
    elif surplus:
        yield Finding(
            "definition",
            "warning",
            f"the definition of AgentType is newer than agentberth {_own_version()}: {_some(surplus)} is unknown here",
            "install the agentberth of the cluster's release on this machine",
        )
    else:
        yield Finding("definition", "ok", "AgentType is served in this version")


def check_operator(surveyed: Surveyed) -> Iterator[Finding]:
    """Whether exactly one operator works for each namespace, and runs."""
    found = operators(surveyed.kubectl)
    if not found:
        yield Finding("operator", "error", "there is no operator: AgentTypes are stored but not processed", _INSTALL)
        return
    everywhere = [one for one in found if not _watched(one)]
    if len(found) > 1 and everywhere:
        names = ", ".join(f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in found)
        yield Finding(
            "operator",
            "error",
            f"{len(found)} operators work for the same agents: {names}",
            f"remove one with agentberth uninstall --keep-agents, or give each its namespaces in {_WATCHED}",
        )
    for one in found:
        yield from _operator(surveyed, one)


def check_images(surveyed: Surveyed) -> Iterator[Finding]:
    """Whether images of the platform can come from anywhere but the nodes themselves."""
    if not surveyed.settings:
        return
    images = surveyed.settings.get("images", {})
    registry = surveyed.settings.get("registry")
    local = [image for name, image in images.items() if name != "pullPolicy" and _without_host(str(image))]
    if local and not registry:
        yield Finding(
            "images",
            "warning",
            f"no registry is named for {_some(local)}: only nodes that have the images can start agents",
            "agentberth install --registry registry.example.com/agents, or load the images on every node",
        )
    else:
        yield Finding("images", "ok", f"images come from {registry or _host(str(next(iter(images.values()), '')))}")


def _operator(surveyed: Surveyed, deployment: Plain) -> Iterator[Finding]:
    metadata, rollout = deployment["metadata"], Rollout.read(deployment)
    where = f"{metadata['namespace']}/{metadata['name']}"
    if rollout.wanted == 0:
        cure = f"kubectl scale deployment {metadata['name']} --namespace {metadata['namespace']} --replicas 2"
        yield Finding("operator", "error", f"{where} is scaled to 0", cure)
    elif not rollout.is_complete:
        found = list(troubles(surveyed.kubectl.within(metadata["namespace"])))
        level: Any = "warning" if rollout.ready else "error"
        message = found[0].message if found else "its Pods are not ready"
        cure = f"kubectl describe pods --selector {SELECTOR} --namespace {metadata['namespace']}"
        if found and found[0].waits_for_image:
            cure = "agentberth install --registry HOST/PATH, or imagePullSecrets for the account agentberth-operator"
        yield Finding("operator", level, f"{where}: {rollout.ready} of {rollout.wanted} are ready: {message}", cure)
    else:
        yield Finding("operator", "ok", f"{where} is ready, {rollout.image}")
    tag = rollout.image.partition("@")[0].rsplit("/", 1)[-1].partition(":")[2]
    if tag and tag[0].isdigit() and tag != _own_version():
        yield Finding(
            "operator",
            "warning",
            f"{where} is version {tag}, this agentberth {_own_version()}",
            f"{_INSTALL} brings the operator to {_own_version()}; or install agentberth {tag} here",
        )


def _watched(deployment: Plain) -> str:
    (container, *_) = deployment["spec"]["template"]["spec"]["containers"]
    return next((one.get("value", "") for one in container.get("env", ()) if one["name"] == _WATCHED), "")


def _fields(definition: Plain) -> frozenset[str]:
    """The paths of all fields of spec, such as `spec.memory.size`."""
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].get("spec", {})
    return frozenset(_paths(schema, "spec"))


def _paths(schema: Plain, path: str) -> Iterator[str]:
    yield path
    for name, inner in schema.get("properties", {}).items():
        yield from _paths(inner, f"{path}.{name}")
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from _paths(inner, f"{path}[]")


def _own_version() -> str:
    return importlib.metadata.version("agentberth")


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _host(image: str) -> str:
    return image.rpartition("/")[0] or "the nodes"


def _without_host(image: str) -> bool:
    first, slash, _ = image.partition("/")
    return not (slash and ("." in first or ":" in first or first == "localhost"))
