"""Calls that a rule asks about, in a run on this machine: the user at the terminal decides, or the command line did.

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
from agentberth.terminal import Terminal

WAITING_FILE: Final = "approvals.json"
_LOOK_EVERY_S: Final = 0.3
_REQUESTS: Final = TypeAdapter(tuple[ApprovalRequest, ...])
Ask = Callable[[], Awaitable[str]]


class ApprovalDesk:
    """Decides what waits. `approved` are globs of tools; `ask` reads a line of the user, None where nobody sits."""

    def __init__(self, root: Path, approved: tuple[str, ...], notes: Terminal, ask: Ask | None) -> None:
        self._waiting = Path(layout.relocate(layout.TOOLS, str(root)), WAITING_FILE)
        self._config = Path(layout.relocate(layout.CONFIG_TOOLS, str(root)), layout.TOOLS_KEY)
        self._approved = approved
        self._notes = notes
        self._ask = ask
        self._decided: set[str] = set()

    async def run(self) -> None:
        """Decide until cancelled."""
        while True:
            await self.decide_waiting()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def decide_waiting(self) -> None:
        """Decide what waits now."""
        for request in self._requests():
            if request.id not in self._decided:
                self._decided.add(request.id)
                self._tell(request, await self._decide(request))

    def _requests(self) -> tuple[ApprovalRequest, ...]:
        try:
            return _REQUESTS.validate_json(self._waiting.read_bytes())
        except (OSError, ValidationError):
            return ()

    async def _decide(self, request: ApprovalRequest) -> bool:
        shown = f"{request.tool} {_printable(request.arguments)}" + (f" ({request.reason})" if request.reason else "")
        if any(fnmatchcase(request.tool, pattern) for pattern in self._approved):
            self._notes.line(f"approved by --approve: {shown}")
            return True
        if self._ask is None:
            self._notes.line(f"denied: {shown}; a rule asks for approval: run at a terminal, or give --approve TOOL")
            return False
        self._notes.line(f"{self._notes.paint('approve?', 'yellow')} {shown}  [y/N]")
        return (await self._ask()).strip().lower() in ("y", "yes")

    def _tell(self, request: ApprovalRequest, approved: bool) -> None:  # noqa: FBT001 - the decision
        """Put the decision where the proxy reads it."""
        config: dict[str, Any] = json.loads(self._config.read_bytes())
        decision = {"request": request.id, "hash": request.hash, "decision": "approved" if approved else "denied"}
        config["decisions"] = [*config.get("decisions", []), decision]
        write_atomically(self._config, json.dumps(config, indent=2).encode())


@asynccontextmanager
async def deciding(agent: AgentType, root: Path, approved: tuple[str, ...], notes: Terminal) -> AsyncIterator[None]:
    """Someone decides meanwhile, if the agent's rules ask."""
    if agent.spec.tools is None or not agent.spec.tools.policy.asks:
        yield
        return
    work = asyncio.create_task(ApprovalDesk(root, approved, notes, asks_at_terminal()).run(), name="approvals")
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


def _printable(text: str) -> str:
    """Without what a terminal would act on: the arguments are the agent's."""
    return "".join(each if each.isprintable() else "?" for each in text)
