"""What a person sees while the agent is prepared: a line when a step starts and one when it ends."""

from typing import Final, TextIO

from agent_api.initreport import InitError, StepReport
from agent_base.redaction import Redactor

_PLAIN: Final = ""
_COLOURS: Final = {"done": "\x1b[32m", "unchanged": "\x1b[36m", "failed": "\x1b[31m"}
_RESET: Final = "\x1b[0m"


class Progress:
    """Lines on `stream`, one event each, flushed at once; `colour` only when a person watches."""

    def __init__(self, stream: TextIO, redactor: Redactor, *, colour: bool) -> None:
        self._stream = stream
        self._redactor = redactor
        self._colour = colour

    def start(self, name: str, title: str) -> None:
        """A step begins; `title` says what it prepares."""
        self.note(name, title)

    def end(self, report: StepReport) -> None:
        size = f", {readable_size(report.size_bytes)}" if report.size_bytes else ""
        detail = f" ({report.detail})" if report.detail else ""
        self.note(report.name, f"{report.outcome} in {report.seconds:.2f} s{size}{detail}", report.outcome)

    def explain(self, error: InitError) -> None:
        """The one thing a person needs to read when it failed."""
        self.note(error.step, f"{error.fault}: {error.cause}", "failed")
        self.note(error.step, f"what to do: {error.cure}", "failed")

    def note(self, name: str, text: str, outcome: str = _PLAIN) -> None:
        """A line of step `name`; a text of several lines becomes as many."""
        before = _COLOURS.get(outcome, "") if self._colour else ""
        after = _RESET if before else ""
        for line in self._redactor.redact(text).splitlines():
            self._stream.write(f"{before}initenv {name:<8} {line}{after}\n")
        self._stream.flush()


def readable_size(size_bytes: int) -> str:
    """Such as 17 B, 4.2 kB, 310.0 MB (powers of 1000)."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
