"""The last calls that went through a sidecar: a bounded ring, made into documents only when somebody looks.

Adding one is on the path of every request, so an entry is whatever the service has at hand, and `show` does the rest
later: redaction, bounds, the model of agent_api.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Generic, TypeVar

from agent_api.calls import MOST_CALLS, CallsReport, ModelCall, ToolCall, TraceIds
from agent_kit.telemetry import Telemetry

RUN_VARIABLE: Final = "AGENT_RUN_ID"
"""Names the run of an agent, for all of its sidecars: the Pod's uid."""
Entry = TypeVar("Entry")


class CallRing(Generic[Entry]):
    """Keeps the last `size` entries. `show` makes the document of an entry, which has that number."""

    def __init__(self, show: Callable[[Entry, int], ModelCall | ToolCall], *, size: int = MOST_CALLS) -> None:
        self._show = show
        self._entries: deque[tuple[int, Entry]] = deque(maxlen=size)
        self._count = 0
        self._boot = os.urandom(8).hex()

    def add(self, entry: Entry) -> None:
        """A call has ended."""
        self._count += 1
        self._entries.append((self._count, entry))

    def report(self, agent: str, after: int = 0) -> CallsReport:
        """What is kept and has a number above `after`, oldest first. May be called from another thread."""
        kept = tuple(self._entries)
        calls = tuple(self._show(entry, number) for number, entry in kept if number > after)
        return CallsReport(agent=agent, boot=self._boot, dropped=kept[0][0] - 1 if kept else 0, calls=calls)


def run_parent(run: str | None) -> dict[str, str]:
    """The W3C headers that make all calls of one run one trace; none without a run."""
    if not run:
        return {}
    digest = hashlib.sha256(run.encode()).hexdigest()
    return {"traceparent": f"00-{digest[:32]}-{digest[32:48]}-01"}


def trace_ids(traceparent: str | None, *, own: bool) -> TraceIds:
    """The ids of a call in the trace of `traceparent`, whose span is the call's `own`, or that of its parent."""
    given = Telemetry.extract({"traceparent": traceparent or ""}).get("traceparent")
    if given is None:
        return TraceIds()
    parts = given.split("-")
    return TraceIds(trace=parts[1], span=parts[2]) if own else TraceIds(trace=parts[1], parent=parts[2])


def cut(text: str, most_chars: int) -> str:
    """`text` as a document can hold it: not longer, and without halves of characters, which an agent may send."""
    return text[:most_chars].encode("utf-8", "replace").decode()


def rfc3339(seconds: float) -> str:
    """A moment with milliseconds, UTC."""
    whole, thousandths = divmod(int(seconds * 1000), 1000)
    return f"{_second(whole)}.{thousandths:03d}Z"


@lru_cache(maxsize=16)
def _second(whole: int) -> str:
    """Each call has a time, and many calls have the same second."""
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
