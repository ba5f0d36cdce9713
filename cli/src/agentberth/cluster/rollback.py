"""The revisions of an agent's spec that the operator has kept, and the way back to one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent_api.agenttype.revisions import REVISION_LABEL, differing, lasting, returned
from agentberth.cluster.kubectl import Kubectl
from agentberth.errors import CommandError

Plain = dict[str, Any]

_LABEL = "agents.example.com/agent"
_SYNCED_BY = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}


@dataclass(frozen=True)
class Revision:
    """One spec with which the agent was ready."""

    number: int
    kept_at: str
    spec: Plain


@dataclass(frozen=True)
class History:
    """An AgentType and its revisions, the newest first."""

    agent: Plain
    revisions: tuple[Revision, ...]

    @property
    def spec(self) -> Plain:
        """The present spec, without what is no part of a revision."""
        return lasting(self.agent["spec"])

    def differences(self, revision: Revision) -> list[str]:
        """Fields that a return to `revision` would change."""
        return differing(self.spec, revision.spec)

    def choose(self, number: int | None) -> Revision:
        """The revision of that number, or the newest that differs from the present spec. Raises CommandError."""
        name = self.agent["metadata"]["name"]
        cure = f"agentberth rollback {name} --list"
        if number is not None:
            found = next((each for each in self.revisions if each.number == number), None)
            if found is None:
                raise CommandError(f"{name} has no revision {number}", cure=cure)
            return found
        for revision in self.revisions:
            if revision.spec != self.spec:
                return revision
        raise CommandError(f"{name} has no other revision: a spec is kept once the agent was ready with it", cure=cure)

    def synced_by(self) -> str:
        """What applies the AgentType from somewhere else, and would undo the return; "" when nothing is known to."""
        metadata = self.agent["metadata"]
        marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
        return next((program for mark, program in _SYNCED_BY.items() if mark in marks), "")


def read_history(kubectl: Kubectl, name: str) -> History:
    """Raises CommandError with kubectl's own words, such as that there is no such AgentType."""
    agent = kubectl.get("agenttype", name)
    found = kubectl.select("controllerrevisions.apps", "--selector", f"{_LABEL}={name}")
    return History(agent, revisions_of(agent, found))


def return_to(kubectl: Kubectl, history: History, revision: Revision, *, dry_run: bool) -> None:
    """Replace the spec, unless somebody else has changed the AgentType meanwhile. Raises CommandError."""
    metadata = {key: value for key, value in history.agent["metadata"].items() if key != "managedFields"}
    document = {
        "apiVersion": history.agent["apiVersion"],
        "kind": history.agent["kind"],
        "metadata": metadata,
        "spec": returned(history.agent["spec"], revision.spec),
    }
    flags = ("--dry-run=server",) if dry_run else ()
    kubectl.ask("replace", "--filename", "-", "--field-manager", "agentberth-rollback", *flags, documents=[document])


def revisions_of(agent: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> tuple[Revision, ...]:
    """The newest first; not of an earlier AgentType of its name, and not those of its memory's StatefulSet."""
    return tuple(sorted(_own(agent, found), key=lambda each: -each.number))


def _own(agent: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> Iterator[Revision]:
    uid = agent["metadata"]["uid"]
    for each in found:
        number = (each["metadata"].get("labels") or {}).get(REVISION_LABEL, "")
        owners = each["metadata"].get("ownerReferences") or ()
        spec = (each.get("data") or {}).get("spec")
        if number.isdecimal() and isinstance(spec, dict) and any(owner.get("uid") == uid for owner in owners):
            yield Revision(int(number), each["metadata"].get("creationTimestamp", ""), lasting(spec))
