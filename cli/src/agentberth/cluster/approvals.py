"""ToolApprovals of a cluster: which of them wait, and how a person decides, by a command or in the console."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from agentberth.cluster.kubectl import Kubectl
from agentberth.errors import CommandError

Decision = Literal["Approve", "Deny"]
LONGEST_NOTE: Final = 500
"""As the definition has it: see ToolApprovalSpec.note."""


def is_open(approval: Mapping[str, Any]) -> bool:
    """Whether nobody has decided yet, and it has not expired."""
    return not approval["spec"].get("decision") and not (approval.get("status") or {}).get("state")


def state_of(approval: Mapping[str, Any]) -> str:
    """In one word: Waiting, the decision, or what the operator has made of it."""
    state = (approval.get("status") or {}).get("state") or approval["spec"].get("decision")
    return str(state or "Waiting")


def decide(kubectl: Kubectl, name: str, decision: Decision, note: str, *, seen_hash: str = "") -> Mapping[str, Any]:
    """Decides about a call that waits, with the user's own rights; returns its spec.

    `seen_hash` is that of the call that the person looked at. Raises CommandError for one that does not wait any more,
    for another call, and with kubectl's own words.
    """
    if len(note) > LONGEST_NOTE:
        raise CommandError(f"a note has at most {LONGEST_NOTE} characters")
    found = kubectl.get("toolapproval", name)
    if not is_open(found):
        raise CommandError(f"{name} no longer waits: it is {state_of(found).lower()}", cure="agentberth approvals")
    spec: Mapping[str, Any] = found["spec"]
    if seen_hash and spec["hash"] != seen_hash:
        raise CommandError(f"{name} is another call than the one that was shown", cure="agentberth approvals")
    change: dict[str, Any] = {"decision": decision} | ({"note": note} if note else {})
    kubectl.patch("toolapproval", name, {"metadata": {"uid": found["metadata"]["uid"]}, "spec": change})
    return spec
