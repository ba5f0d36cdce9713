"""What the agents of the namespace refer to: Secrets with provider keys, authorities, and the level of PodSecurity.

Of a Secret only the names of its keys are asked for, so that no value leaves the server's answer to kubectl.
"""

from collections.abc import Iterator
from typing import Final

from agent_api.providers import PROVIDERS
from agentberth.errors import CommandError
from agentberth.preflight.finding import Finding, Plain, Surveyed

_KEYS: Final = "go-template={{range $name, $_ := .data}}{{$name}} {{end}}"
_LEVELS: Final = ("privileged", "baseline", "restricted")
_ENFORCE: Final = "pod-security.kubernetes.io/enforce"


def check_secrets(surveyed: Surveyed) -> Iterator[Finding]:
    """Whether the Secrets that providers name exist and hold something."""
    named: dict[str, str] = {}
    for agent in surveyed.agents:
        for provider in ((agent["spec"].get("llm") or {}).get("providers")) or ():
            secret = provider.get("credentialsSecret")
            if secret and PROVIDERS[provider["type"]].address:
                named.setdefault(secret, f"agent {agent['metadata']['name']}, provider {provider['name']}")
    problems = 0
    for secret, who in named.items():
        found = _keys(surveyed, secret)
        if isinstance(found, Finding):
            problems += 1
            yield found
        elif not found:
            problems += 1
            state = "does not exist" if found is None else "is empty"
            where = f"--namespace {surveyed.agents_namespace}"
            cure = f"kubectl create secret generic {secret} {where} --from-literal=api-key=KEY"
            yield Finding("secrets", "error", f"Secret {secret} {state} ({who})", cure)
    if named and not problems:
        yield Finding("secrets", "ok", f"the {len(named)} Secrets that providers name exist")


def check_authorities(surveyed: Surveyed) -> Iterator[Finding]:
    """Whether the ConfigMap with the authorities to trust is in the namespace of the agents."""
    trust = surveyed.settings.get("trust")
    if not trust:
        return
    name, key = trust.get("configMap", ""), trust.get("key", "ca-bundle.crt")
    found = surveyed.kubectl.get_if_present("configmap", name)
    if found is None or key not in (found.get("data") or {}):
        state = "does not exist" if found is None else f"has no key {key}"
        yield Finding(
            "authorities",
            "error",
            f"ConfigMap {name} with the authorities to trust {state} in namespace {surveyed.agents_namespace}",
            f"kubectl create configmap {name} --namespace {surveyed.agents_namespace} --from-file={key}=FILE",
        )
    else:
        yield Finding("authorities", "ok", f"authorities come from ConfigMap {name}")


def check_security_level(surveyed: Surveyed) -> Iterator[Finding]:
    """Whether the namespace admits the Pods of its agents."""
    namespace = surveyed.kubectl.get_if_present("namespace", surveyed.agents_namespace)
    if namespace is None:
        yield Finding(
            "namespace",
            "error",
            f"namespace {surveyed.agents_namespace} does not exist",
            f"kubectl create namespace {surveyed.agents_namespace}",
        )
        return
    level = (namespace["metadata"].get("labels") or {}).get(_ENFORCE, "privileged")
    looser = [one for one in surveyed.agents if _is_looser(_level_of(one, surveyed.settings), level)]
    for agent in looser:
        name = agent["metadata"]["name"]
        yield Finding(
            "pod-security",
            "error",
            f"namespace {surveyed.agents_namespace} enforces {level}, and agent {name} asks for less",
            f"set security.profile: {level} in {name}, or lower the namespace's label {_ENFORCE}",
        )
    if not looser:
        yield Finding("pod-security", "ok", f"namespace {surveyed.agents_namespace} enforces {level}")


def _keys(surveyed: Surveyed, secret: str) -> list[str] | Finding | None:
    """The names of the Secret's keys, None without it, or why they cannot be read."""
    try:
        return surveyed.kubectl.ask("get", "secret", secret, "--output", _KEYS).split()
    except CommandError as error:
        if "not found" in str(error).lower():
            return None
        return Finding(
            "secrets", "skipped", f"Secret {secret} cannot be read: {error}", "ask for the right to get Secrets here"
        )


def _level_of(agent: Plain, settings: Plain) -> str:
    default = settings.get("securityProfile", "restricted")
    return str((agent["spec"].get("security") or {}).get("profile") or default)


def _is_looser(asked: str, enforced: str) -> bool:
    if asked not in _LEVELS or enforced not in _LEVELS:
        return False
    return _LEVELS.index(asked) < _LEVELS.index(enforced)
