"""Calls that wait for a person.

A call is asked about under a random id, and only the one call that asked for that id can use what is decided about it:
an approval is used up, on disk, before the call runs. The decisions come with tools.json, which the agent cannot write;
what the proxy says of them in its report is a request, nothing more.
"""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from agent_api.toolsconfig import ApprovalDecision, ToolsPolicy
from agent_api.toolsreport import ApprovalRequest
from agent_base.atomicfile import write_atomically
from agent_toolproxy.call import Call
from agent_toolproxy.errors import ApprovalDenied, ApprovalPending, ToolNotReady
from agent_toolproxy.store.store import canonical_json

_log = logging.getLogger(__name__)
MOST_WAITING: Final = 20
MOST_DENIALS: Final = 500
_LARGEST_BYTES: Final = 1 << 20
_REQUESTS: Final = TypeAdapter(tuple[ApprovalRequest, ...])
Show = Callable[[Mapping[str, Any]], str]


class Approvals:
    """The calls that wait. `file` holds them over a restart of the proxy."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        self._waiting: dict[str, ApprovalRequest] = {}
        self._decisions: dict[str, ApprovalDecision] = {}
        self._lapsed: dict[str, None] = {}
        self._denied_until: dict[str, float] = {}
        self._decided = asyncio.Event()

    def load(self) -> None:
        """What an earlier process of this Pod asked for. Blocks."""
        try:
            with self._file.open("rb") as file:
                stored = _REQUESTS.validate_json(file.read(_LARGEST_BYTES))
        except FileNotFoundError:
            return
        except (OSError, ValidationError) as error:
            _log.warning("waiting approvals are damaged and dropped", extra={"reason": type(error).__name__})
            return
        self._waiting = {each.hash: each for each in stored[:MOST_WAITING]}

    def decide(self, decisions: Iterable[ApprovalDecision]) -> None:
        """Follow what persons decided."""
        self._decisions = {each.request: each for each in decisions}
        self._decided.set()
        self._decided = asyncio.Event()

    def requests(self) -> tuple[ApprovalRequest, ...]:
        """What a person has to decide, oldest first."""
        self._drop_expired()
        return tuple(self._waiting.values())

    async def require(self, tool: str, call: Call, *, reason: str, policy: ToolsPolicy, show: Show) -> None:
        """Return when a person has approved this very call; the approval is used up.

        Raises ApprovalDenied, ApprovalPending when nobody has decided yet.
        """
        digest = hash_call(tool, call)
        try:
            async with asyncio.timeout(min(policy.approval_wait_seconds, call.timeout_s or float("inf"))):
                while not self._take(self._ask(digest, tool, call, reason, policy, show)):
                    await self._decided.wait()
        except TimeoutError:
            raise ApprovalPending(
                f"a person has to approve this call of {tool} first ({reason or 'a rule asks for it'}): "
                "call again with the same arguments later; it is carried out then, once"
            ) from None

    def _ask(self, digest: str, tool: str, call: Call, reason: str, policy: ToolsPolicy, show: Show) -> ApprovalRequest:
        """The request for this call, which is made if there is none."""
        if self._denied_until.get(digest, 0) > self._clock():
            raise ApprovalDenied(f"this call of {tool} was denied: do not try it again")
        self._drop_expired()
        if digest in self._lapsed:
            del self._lapsed[digest]
            raise ApprovalDenied(f"the approval of this call of {tool} timed out; call again to ask for a new one")
        if (waiting := self._waiting.get(digest)) is not None:
            return waiting
        if len(self._waiting) >= MOST_WAITING:
            raise ApprovalPending(f"{MOST_WAITING} calls wait for a person already: try again later")
        now = self._clock()
        request = ApprovalRequest(
            id=secrets.token_hex(8),
            tool=tool,
            hash=digest,
            arguments=show(call.arguments),
            reason=reason,
            asked_at=_spell(now),
            expires_at=_spell(now + policy.approval_expiry_seconds),
        )
        self._waiting[digest] = request
        self._store()
        _log.info("a call waits for approval", extra={"tool": tool, "request": request.id, "reason": reason})
        return request

    def _take(self, request: ApprovalRequest) -> bool:
        """Whether the call may run; from now on nobody else may, by this approval."""
        decision = self._decisions.get(request.id)
        if decision is None or decision.hash != request.hash:
            return False
        del self._waiting[request.hash]
        self._store()
        if decision.decision == "approved":
            return True
        self._deny(request.hash, _parse(request.expires_at))
        raise ApprovalDenied(f"this call of {request.tool} was denied: do not try it again")

    def _deny(self, digest: str, until: float) -> None:
        while len(self._denied_until) >= MOST_DENIALS:
            del self._denied_until[next(iter(self._denied_until))]
        self._denied_until[digest] = until

    def _drop_expired(self) -> None:
        now = self._clock()
        kept = {digest: each for digest, each in self._waiting.items() if _parse(each.expires_at) > now}
        if len(kept) < len(self._waiting):
            lapsed = [*self._lapsed, *(digest for digest in self._waiting if digest not in kept)]
            self._lapsed = dict.fromkeys(lapsed[-MOST_DENIALS:])
            self._waiting = kept
            self._store()

    def _store(self) -> None:
        """Raises ToolNotReady: an approval that could be used twice is none."""
        try:
            write_atomically(self._file, _REQUESTS.dump_json(tuple(self._waiting.values()), by_alias=True))
        except OSError as error:
            raise ToolNotReady(f"waiting approvals cannot be kept in the tools folder: {error.strerror}") from error


def hash_call(tool: str, call: Call) -> str:
    """Another one for every other tool, argument or answer to what a tool asked."""
    return hashlib.sha256(canonical_json([tool, call.arguments, call.retry])).hexdigest()


def _spell(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parse(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
