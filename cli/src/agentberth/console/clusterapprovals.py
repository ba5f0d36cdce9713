"""The calls of a cluster that wait for a person, as the console shows them and has them decided.

They are read as everything else is. A decision goes through `kubectl patch`, as `agentberth approve` does it: the proxy
that the console reads through takes no other method than GET.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

from agent_api.agenttype.toolrules import APPROVALS
from agentberth.cluster.approvals import Decision, decide, state_of
from agentberth.cluster.kubectl import Kubectl
from agentberth.console.access import Api, RefusedError
from agentberth.console.view import ApprovalsView, ApprovalView, Plain
from agentberth.errors import CommandError

_PAGE: Final = "500"
_MOST_PAGES: Final = 10
_MOST_OPEN: Final = 200
_MOST_DECIDED: Final = 50
_LONGEST_CHARS: Final = 4000
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
READ_ONLY: Final = (
    "This console is read-only: it runs with rights of its own, and the decision has to be somebody's. "
    "Decide with agentberth approve or agentberth deny."
)


class ClusterApprovals:
    """`scope` is the path of the API group, or of one namespace in it. Without `kubectl` nothing can be decided."""

    def __init__(self, api: Api, scope: str, kubectl: Kubectl | None) -> None:
        self._api = api
        self._list = f"{scope}/{APPROVALS}"
        self._kubectl = kubectl

    async def view(self) -> ApprovalsView:
        """What waits, and what was decided last."""
        read_only = "" if self._kubectl else READ_ONLY
        try:
            found, is_whole = await self._read()
        except RefusedError as error:
            return ApprovalsView((), read_only, notes=(_refusal(error),))
        except CommandError as error:
            return ApprovalsView((), read_only, notes=(f"The approvals cannot be read: {error}",))
        views = sorted((_view(each) for each in found), key=lambda each: (each.asked, each.name))
        waiting = [each for each in views if each.state == "Waiting"]
        decided = [each for each in views if each.state != "Waiting"]
        notes = [] if is_whole else [f"Only {len(found)} approvals were read; there are more."]
        if len(waiting) > _MOST_OPEN:
            notes.append(f"{len(waiting)} calls wait; the {_MOST_OPEN} oldest are shown.")
        return ApprovalsView((*waiting[:_MOST_OPEN], *decided[-_MOST_DECIDED:]), read_only, notes=notes)

    async def decide(self, namespace: str, name: str, seen_hash: str, decision: Decision, note: str) -> None:
        """Raises CommandError when it is refused, or when the call no longer waits."""
        if self._kubectl is None:
            raise CommandError(READ_ONLY)
        if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(name)):  # they become words of a command line
            raise LookupError(f"there is no approval {namespace[:100]}/{name[:100]}")
        kubectl = self._kubectl.within(namespace)
        await asyncio.to_thread(decide, kubectl, name, decision, note, seen_hash=seen_hash)

    async def _read(self) -> tuple[list[Plain], bool]:
        found: list[Plain] = []
        query = {"limit": _PAGE}
        for _ in range(_MOST_PAGES):
            page = await self._api.get(self._list, **query)
            found += page["items"]
            if not (more := page["metadata"].get("continue")):
                return found, True
            query = {"limit": _PAGE, "continue": more}
        return found, False


def _view(approval: Mapping[str, Any]) -> ApprovalView:
    spec, meta = approval["spec"], approval["metadata"]
    return ApprovalView(
        namespace=meta["namespace"],
        name=meta["name"],
        agent=spec["agent"],
        tool=spec["tool"],
        arguments=spec["arguments"][:_LONGEST_CHARS],
        hash=spec["hash"],
        reason=spec["reason"],
        asked=spec["askedAt"],
        expires=spec["expiresAt"],
        state=state_of(approval),
        note=spec.get("note") or "",
    )


def _refusal(error: RefusedError) -> str:
    if error.status == 403:
        return f"The approvals may not be read with your rights: {error}"
    if error.status == 404:
        return "ToolApproval is not defined in this cluster: run agentberth check."
    return f"The approvals cannot be read: {error}"
