"""What the processes of a run print, on the terminal of whoever started it: the agent's results on its stdout alone."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from agent_api import layout
from agentberth.console.runview import Shown
from agentberth.local.pod import SIDECAR_PORTS, LocalProcess
from agentberth.local.sidecarlog import least_level, read_line, read_redis_line
from agentberth.terminal import Terminal


class RunOutput:
    """Prints lines as they come. `unread` is True once the reader of a terminal has gone, which sets `stop`.

    A quiet run prints the agent's lines alone, as they are.
    """

    def __init__(
        self,
        plans: Sequence[LocalProcess],
        results: Terminal,
        notes: Terminal,
        stop: asyncio.Event,
        shown: Shown | None,
        *,
        quiet: bool,
    ) -> None:
        self._agent = plans[-1].name
        self._width = max(len(plan.name) for plan in plans)
        self._order = {plan.name: at for at, plan in enumerate(plans)}
        self._reporting = {plan.name for plan in plans if plan.role == "init"}  # their stdout is a report, not a log
        self._results = results
        self._notes = notes
        self._stop = stop
        self._shown = shown
        self._quiet = quiet
        read = partial(read_line, least=least_level(os.environ))
        self._readers: Mapping[str, Callable[[str], str | None]] = {
            **dict.fromkeys(SIDECAR_PORTS, read),
            layout.MEMORY: read_redis_line,
        }
        self.unread = False

    def emit(self, name: str, line: str, err: bool) -> None:  # noqa: FBT001 - see Emit
        """See `agentberth.local.process.Emit`."""
        read = self._readers.get(name)
        shown = read(line) if read else line
        if shown is not None:
            self._show(name, shown, err=err)

    def _show(self, name: str, line: str, *, err: bool) -> None:
        if self._shown is not None:
            self._shown.source.note_line(name, line)
        of_agent = name == self._agent
        target = self._results if of_agent and not err else self._notes
        try:
            if self._quiet and of_agent:
                target.line(line)
            elif not self._quiet and (err or name not in self._reporting):
                target.prefixed(name, line, width=self._width, order=self._order[name])
        except BrokenPipeError:
            target.discard()
            self.unread = True
            self._stop.set()
