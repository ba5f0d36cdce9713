"""All checks in their order: access first, then what is installed, then what agents need of the cluster."""

import json
from collections.abc import Iterator
from typing import Final

import yaml

from agentberth.cluster.bundle import DEFINITION, PLATFORM, PLATFORM_KEY
from agentberth.cluster.installation import operators
from agentberth.cluster.kubectl import Kubectl
from agentberth.errors import CommandError
from agentberth.preflight.access import check_access
from agentberth.preflight.agents import check_authorities, check_secrets, check_security_level
from agentberth.preflight.finding import Check, Finding, Plain, Surveyed
from agentberth.preflight.network import check_names, check_policies
from agentberth.preflight.platform import check_definition, check_images, check_operator
from agentberth.preflight.probe import probe
from agentberth.preflight.rights import check_operator_rights, check_own_rights
from agentberth.preflight.storage import check_storage
from agentberth.preflight.userids import check_user_ids

CHECKS: Final[dict[str, Check]] = {
    "definition": check_definition,
    "operator": check_operator,
    "rights": check_own_rights,
    "operator-rights": check_operator_rights,
    "images": check_images,
    "network-policy": check_policies,
    "dns": check_names,
    "storage": check_storage,
    "pod-security": check_security_level,
    "user-ids": check_user_ids,
    "authorities": check_authorities,
    "secrets": check_secrets,
}


def survey(kubectl: Kubectl, *, probed: bool = False) -> Iterator[Finding]:
    """Every finding, as soon as it is known. After a cluster that cannot be used there are no others.

    With `probed`, two Pods are started in the end.
    """
    reached = list(check_access(kubectl))
    yield from reached
    if any(finding.level == "error" for finding in reached):
        return
    surveyed = read_installation(kubectl)
    checks = {**CHECKS, "probe": probe} if probed else CHECKS
    for name, check in checks.items():
        try:
            yield from check(surveyed)
        except CommandError as error:
            yield Finding(name, "skipped", f"could not be checked: {error}", "ask for the right to read it")


def read_installation(kubectl: Kubectl) -> Surveyed:
    """What all checks go by: the installation, its settings, and the agents of the namespace."""
    try:
        found = operators(kubectl)
    except CommandError:
        found = []
    system = found[0]["metadata"]["namespace"] if found else Surveyed(kubectl).system
    return Surveyed(
        kubectl,
        system=system,
        agents_namespace=_namespace(kubectl),
        is_installed=bool(found),
        settings=_settings(kubectl.within(system), found[0]) if found else {},
        agents=_agents(kubectl),
    )


def _namespace(kubectl: Kubectl) -> str:
    """The namespace that kubectl goes by."""
    flags = kubectl.flags
    if "--namespace" in flags:
        return flags[flags.index("--namespace") + 1]
    words = ("config", "view", "--minify", "--output", "jsonpath={..namespace}")
    return kubectl.ask(*words).strip() or "default"


def _agents(kubectl: Kubectl) -> tuple[Plain, ...]:
    try:
        return tuple(kubectl.select(DEFINITION))
    except CommandError:  # the checks of definition and rights say why
        return ()


def _settings(system: Kubectl, operator: Plain) -> Plain:
    """The platform settings of the operator, from the ConfigMap that its Pods mount; empty when it cannot be read."""
    volumes = operator["spec"]["template"]["spec"].get("volumes", ())
    names = [
        one["configMap"]["name"] for one in volumes if one.get("configMap", {}).get("name", "").find(PLATFORM) >= 0
    ]
    try:
        found = system.ask("get", "configmap", *names[:1], "--output", "json") if names else "{}"
        settings = yaml.safe_load((json.loads(found).get("data") or {}).get(PLATFORM_KEY) or "")
    except (CommandError, yaml.YAMLError):
        return {}
    return settings if isinstance(settings, dict) else {}
