"""The recorder of tool calls: see agent_api.calls.

Arguments and results may be megabytes, so nothing of them is kept but their sizes; with `captureContent` their first
characters too, redacted.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent_api.calls import LONGEST_CONTENT_CHARS, LONGEST_TEXT_CHARS, Decision, ToolCall
from agent_base.redaction import Redactor
from agent_kit.calls import RUN_VARIABLE, CallRing, cut, rfc3339, run_parent, trace_ids
from agent_kit.telemetry import SILENT_SPAN, Span
from agent_toolproxy.call import Call, Json

_LONGEST_NAME: Final = 256
_KEPT_CHARS: Final = 65_536
DECISIONS: Final[Mapping[str, Decision]] = {
    "tool_blocked": "blocked",
    "tool_not_ready": "blocked",
    "unknown_tool": "denied",
    "call_denied": "denied",
    "rate_exceeded": "denied",
    "approval_pending": "asked",
    "approval_denied": "asked",
}
"""By the code of the refusal. A tool that the policy leaves out is not known to the caller."""


@dataclass(frozen=True)
class EndedCall:
    """What is at hand when a call ends, or is refused. `server` is the configured tool it belongs to."""

    tool: str
    server: str
    call: Call
    outcome: str
    seconds: float
    error: str = ""
    result: Json | None = None
    own_span: bool = False
    decision: Decision = "allowed"

    @property
    def decided(self) -> Decision:
        """By the refusal, else by who let it be."""
        return DECISIONS.get(self.outcome, self.decision)


class CallRecorder:
    """Keeps the last calls. `captures` says whether their contents are kept too."""

    def __init__(self, redactor: Redactor, captures: Callable[[], bool]) -> None:
        self.ring: CallRing[ToolCall] = CallRing(lambda call, number: call.model_copy(update={"number": number}))
        self._redactor = redactor
        self._captures = captures
        self.run: Mapping[str, str] = run_parent(os.environ.get(RUN_VARIABLE))
        """W3C headers of the agent's run, for calls without any."""

    def add(self, ended: EndedCall, span: Span = SILENT_SPAN) -> None:
        """Keep one more, and tell `span` of the contents that are kept."""
        asked, told = _dumped(ended.call.arguments), "" if ended.result is None else _dumped(ended.result)
        shown = (asked, told) if self._captures() else ("", "")
        traceparent = ended.call.meta.get("traceparent")
        call = ToolCall(
            number=1,
            at=rfc3339(time.time() - ended.seconds),
            duration_ms=round(ended.seconds * 1000, 3),
            name=cut(ended.tool, _LONGEST_NAME),
            server=cut(ended.server, _LONGEST_NAME),
            via=ended.call.via,
            decision=ended.decided,
            outcome=ended.outcome,
            error=cut(self._redactor.redact(ended.error), LONGEST_TEXT_CHARS),
            arguments_bytes=len(asked),
            result_bytes=len(told),
            trace=trace_ids(
                traceparent if isinstance(traceparent, str) else self.run.get("traceparent"), own=ended.own_span
            ),
            input=self._shown(shown[0]),
            output=self._shown(shown[1]),
        )
        self.ring.add(call)
        for name, text in (("arguments", call.input), ("result", call.output)):
            if text:
                span.set(f"gen_ai.tool.call.{name}", text)

    def _shown(self, text: str) -> str:
        kept = text if len(text) <= _KEPT_CHARS else self._redactor.mask_cut(text[:_KEPT_CHARS])
        return self._redactor.redact(kept)[:LONGEST_CONTENT_CHARS]


def _dumped(value: Any) -> str:  # noqa: ANN401 - any JSON
    """In ASCII, so that characters are bytes."""
    return json.dumps(value, default=str)
