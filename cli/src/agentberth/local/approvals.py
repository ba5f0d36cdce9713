"""Calls that a rule asks about, in a run on this machine: the user decides, or the command line did.

The user is asked at the terminal and in the console, where the run has one; the first answer counts.

The proxy keeps what waits in its tools folder, and reads decisions from tools.json, as in a Pod.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.toolsreport import ApprovalRequest
from agent_base.atomicfile import write_atomically
from agentberth.errors import CommandError
from agentberth.terminal import Terminal, visible

WAITING_FILE: Final = "approvals.json"
_LOOK_EVERY_S: Final = 0.3
_REQUESTS: Final = TypeAdapter(tuple[ApprovalRequest, ...])
Ask = Callable[[], Awaitable[str]]


class ApprovalDesk:
    """Decides what waits.

    `approved` are globs of tools; `ask` reads a line of the user, None where nobody sits. With `console` the user may
    decide there too, by `decide`.
    """

    def __init__(
        self, root: Path, approved: tuple[str, ...], notes: Terminal, ask: Ask | None, *, console: bool = False
    ) -> None:
        self._waiting = Path(layout.relocate(layout.TOOLS, str(root)), WAITING_FILE)
        self._config = Path(layout.relocate(layout.CONFIG_TOOLS, str(root)), layout.TOOLS_KEY)
        self._approved = approved
        self._notes = notes
        self._ask = ask
        self._console = console
        self._seen: set[str] = set()
        self.decided: dict[str, tuple[ApprovalRequest, bool]] = {}
        """What was decided, by the request's id."""

    async def run(self) -> None:
        while True:
            await self.decide_waiting()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def decide_waiting(self) -> None:
        for request in self.waiting():
            if request.id not in self.decided and request.id not in self._seen:
                self._seen.add(request.id)
                approved = await self._settle(request)
                if approved is not None:
                    self._tell(request, approved)

    def waiting(self) -> tuple[ApprovalRequest, ...]:
        """What the proxy holds back, whether it was decided or not."""
        try:
            return _REQUESTS.validate_json(self._waiting.read_bytes())
        except (OSError, ValidationError):
            return ()

    def decide(self, request_id: str, seen_hash: str, *, approved: bool) -> None:
        """As the user decides in the console. Raises CommandError for what does not wait, or is another call."""
        request = next((each for each in self.waiting() if each.id == request_id), None)
        if request is None or request_id in self.decided:
            raise CommandError("this call no longer waits")
        if request.hash != seen_hash:
            raise CommandError("this is another call than the one that was shown")
        self._tell(request, approved)
        self._notes.line(f"{'approved' if approved else 'denied'} in the console: {_shown(request)}")

    async def _settle(self, request: ApprovalRequest) -> bool | None:
        """None: the console decides, or has decided."""
        if any(fnmatchcase(request.tool, pattern) for pattern in self._approved):
            self._notes.line(f"approved by --approve: {_shown(request)}")
            return True
        if self._ask is not None:
            self._notes.line(f"{self._notes.paint('approve?', 'yellow')} {_shown(request)}  [y/N]")
            return await self._answer(self._ask, request)
        if self._console:
            self._notes.line(f"waits for a decision in the console: {_shown(request)}")
            return None
        self._notes.line(
            f"denied: {_shown(request)}; a rule asks for approval: run at a terminal, or give --approve TOOL"
        )
        return False

    async def _answer(self, ask: Ask, request: ApprovalRequest) -> bool | None:
        """The user's line, unless the console is quicker."""
        question = asyncio.ensure_future(ask())
        try:
            while not question.done() and request.id not in self.decided:
                await asyncio.wait((question,), timeout=_LOOK_EVERY_S)
            return None if request.id in self.decided else question.result().strip().lower() in ("y", "yes")
        finally:
            question.cancel()
            with suppress(asyncio.CancelledError):
                await question

    def _tell(self, request: ApprovalRequest, approved: bool) -> None:  # noqa: FBT001 - the decision
        """Put the decision where the proxy reads it."""
        self.decided[request.id] = (request, approved)
        config: dict[str, Any] = json.loads(self._config.read_bytes())
        decision = {"request": request.id, "hash": request.hash, "decision": "approved" if approved else "denied"}
        config["decisions"] = [*config.get("decisions", []), decision]
        write_atomically(self._config, json.dumps(config, indent=2).encode())


def desk_of(
    agent: AgentType, root: Path, approved: tuple[str, ...], notes: Terminal, *, console: bool
) -> ApprovalDesk | None:
    """Where it is decided, if the agent's rules ask."""
    if agent.spec.tools is None or not agent.spec.tools.policy.asks:
        return None
    return ApprovalDesk(root, approved, notes, asks_at_terminal(), console=console)


@asynccontextmanager
async def deciding(desk: ApprovalDesk | None) -> AsyncIterator[None]:
    """Someone decides meanwhile."""
    if desk is None:
        yield
        return
    work = asyncio.create_task(desk.run(), name="approvals")
    try:
        yield
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def read_line() -> str:
    """A line of the terminal; cancelling it leaves no thread behind. "" at its end."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[str] = loop.create_future()

    def take() -> None:
        if not ready.done():
            ready.set_result(sys.stdin.readline())

    loop.add_reader(sys.stdin.fileno(), take)
    try:
        return await ready
    finally:
        loop.remove_reader(sys.stdin.fileno())


def asks_at_terminal() -> Ask | None:
    """How to ask the user, if there is one."""
    return read_line if sys.stdin is not None and sys.stdin.isatty() else None


def _shown(request: ApprovalRequest) -> str:
    return visible(f"{request.tool} {request.arguments}" + (f" ({request.reason})" if request.reason else ""))
