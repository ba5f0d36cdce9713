"""Takes an installation out of a cluster. Agents and their data go only on request.

With the definition of AgentType go all agents, and with each agent all that belongs to it. So the agents are removed
first, while the operator still runs, and only when `delete_agents` says so; the operator and its rights go after them.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from agentberth.cluster.bundle import DEFINITION, OPERATOR, Choices, installation, without_definition
from agentberth.cluster.installation import is_own, operators, release_of
from agentberth.cluster.kubectl import Kubectl
from agentberth.errors import CommandError

Plain = dict[str, Any]
Say = Callable[[str], None]

_NAMED: Final = 5
_DELETE_S: Final = 300.0
_FOREIGN_KINDS: Final = "pods,configmaps,secrets,persistentvolumeclaims,services"
_MADE_BY_CLUSTER: Final = frozenset({"kube-root-ca.crt"})


def uninstall(
    kubectl: Kubectl, namespace: str, say: Say, *, delete_agents: bool, keep_agents: bool, dry_run: bool = False
) -> None:
    """Removes the operator, and with `delete_agents` all agents and their definition before it.

    `keep_agents` leaves both where they are: the agents go on running, without an operator. Raises CommandError when
    there are agents and neither was asked for, and when another installation would lose its rights with this one.
    """
    _refuse_others(kubectl, namespace)
    agents = _agents(kubectl)
    if agents and not (delete_agents or keep_agents):
        raise CommandError(
            _count(agents),
            cure="--delete-agents deletes them with their data, --keep-agents leaves them running without an operator",
        )
    flags = ("--dry-run=server",) if dry_run else ()
    if agents and delete_agents:
        words = ("delete", DEFINITION, "--all", "--all-namespaces", "--timeout=240s", *flags)
        _tell(kubectl.ask(*words, timeout_s=_DELETE_S), say)
    objects = without_definition(Choices(namespace=namespace)) if keep_agents else installation(Choices(namespace))
    kept = {"Namespace", "CustomResourceDefinition"} if keep_agents else {"Namespace"}
    removed = [_identity(one) for one in reversed(objects) if one["kind"] not in kept]
    _delete(kubectl, say, ["-f", "-"], flags, removed)
    _remove_namespace(kubectl, namespace, say, flags)


def _refuse_others(kubectl: Kubectl, namespace: str) -> None:
    """Roles, policies and definitions have no namespace: all installations of a cluster share them."""
    for operator in operators(kubectl):
        metadata = operator["metadata"]
        where = metadata["namespace"]
        if where != namespace or metadata["name"] != OPERATOR:
            raise CommandError(
                f"{metadata['name']} in namespace {where} is another installation, which would lose its rights too",
                cure=f"agentberth uninstall --namespace {where}, or remove it with the tool that installed it",
            )
        if release := release_of(operator):
            raise CommandError(
                f"Agentberth was installed by Helm, as release {release}",
                cure=f"helm uninstall {release} --namespace {where}",
            )


def _agents(kubectl: Kubectl) -> list[str]:
    """NAMESPACE/NAME of all agents; empty when the cluster does not know the kind."""
    if kubectl.get_if_present("customresourcedefinition", DEFINITION) is None:
        return []
    found = kubectl.select(DEFINITION, "--all-namespaces")
    return [f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in found]


def _count(agents: list[str]) -> str:
    named = ", ".join(agents[:_NAMED])
    if len(agents) == 1:
        return f"there is 1 agent in the cluster: {named}"
    return f"there are {len(agents)} agents in the cluster{', such as' if len(agents) > _NAMED else ':'} {named}"


def _delete(
    kubectl: Kubectl, say: Say, what: list[str], flags: tuple[str, ...], documents: Sequence[Plain] = ()
) -> None:
    words = ("delete", *what, "--ignore-not-found", "--timeout=120s", *flags)
    _tell(kubectl.ask(*words, documents=documents, timeout_s=_DELETE_S), say)


def _identity(one: Plain) -> Plain:
    """What a deletion has to know of an object."""
    metadata = {name: one["metadata"][name] for name in ("name", "namespace") if name in one["metadata"]}
    return {"apiVersion": one["apiVersion"], "kind": one["kind"], "metadata": metadata}


def _remove_namespace(kubectl: Kubectl, name: str, say: Say, flags: tuple[str, ...]) -> None:
    """Removes the namespace when the installation made it and nobody put anything of theirs there."""
    namespace = kubectl.get_if_present("namespace", name)
    if namespace is None:
        return
    text = kubectl.within(name).ask("get", _FOREIGN_KINDS, "--output", "json")
    left = [one for one in json.loads(text)["items"] if _is_foreign(one)]
    if is_own(namespace) and not left:
        _delete(kubectl, say, ["namespace", name], flags)
    elif left:
        first = left[0]
        say(f"namespace {name} stays: {first['kind']} {first['metadata']['name']} in it is not of the installation")
    else:
        say(f"namespace {name} stays: it was there before the installation")


def _is_foreign(one: Plain) -> bool:
    labels = one["metadata"].get("labels") or {}
    ours = labels.get("app.kubernetes.io/name") == OPERATOR
    return not ours and one["metadata"]["name"] not in _MADE_BY_CLUSTER


def _tell(text: str, say: Say) -> None:
    for line in text.splitlines():
        say(line)
