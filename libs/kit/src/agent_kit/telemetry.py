"""Spans, when a collector is configured; nothing at all otherwise.

OpenTelemetry costs a sidecar tens of milliseconds and megabytes, so services see the two small protocols below;
`agent_kit.tracing` imports the SDK only when there is an endpoint. With tracing off, a request's W3C
headers are still passed on: the agent's own traces must not break at the sidecar.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Literal, Protocol

AttributeValue = str | bool | int | float | tuple[str, ...]
SpanKind = Literal["internal", "server", "client", "producer", "consumer"]
TraceParent = Mapping[str, str]
"""The valid W3C trace headers of a request, in lower case; empty when it has none."""

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_LONGEST_STATE: Final = 512  # characters of tracestate, as the W3C asks for at least


class Span(Protocol):
    """What a service may say of a piece of work. Never put a prompt, a header or a key into it."""

    def set(self, key: str, value: AttributeValue) -> None:
        """Set an attribute."""

    def event(self, name: str, attributes: Mapping[str, AttributeValue] | None = None) -> None:
        """Record that something happened now."""

    def fail(self, reason: str) -> None:
        """Mark the work as failed."""


class Telemetry(ABC):
    """Makes spans and carries their context from and to HTTP headers."""

    enabled: bool

    @abstractmethod
    def span(
        self,
        name: str,
        *,
        kind: SpanKind = "internal",
        parent: TraceParent | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> AbstractContextManager[Span]:
        """The span of what is done inside, a child of `parent`, else of the span around it.

        An exception that leaves it marks it as failed by its type; its text, which may hold a secret, is left out.
        """

    @abstractmethod
    def inject(self, headers: MutableMapping[str, str], parent: TraceParent | None = None) -> None:
        """Write the W3C headers of the present span into `headers`; those of `parent` when there is no span."""

    @staticmethod
    def extract(headers: Mapping[str, str]) -> TraceParent:
        """The W3C trace headers among `headers`; malformed ones are left out, as the W3C asks."""
        found = {key.lower(): value.strip() for key, value in headers.items() if key.lower() in _W3C}
        if not _TRACEPARENT.fullmatch(found.get("traceparent", "")):
            return {}
        if len(found.get("tracestate", "")) > _LONGEST_STATE:
            del found["tracestate"]
        return found


_W3C: Final = frozenset({"traceparent", "tracestate"})


class _SilentSpan:
    """A span that keeps nothing."""

    def set(self, key: str, value: AttributeValue) -> None:
        pass

    def event(self, name: str, attributes: Mapping[str, AttributeValue] | None = None) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass


SILENT_SPAN: Final[Span] = _SilentSpan()


class SilentTelemetry(Telemetry):
    """Tracing that is off."""

    enabled = False

    @contextmanager
    def span(
        self,
        name: str,  # noqa: ARG002 - the protocol's
        *,
        kind: SpanKind = "internal",  # noqa: ARG002 - likewise
        parent: TraceParent | None = None,  # noqa: ARG002 - likewise
        attributes: Mapping[str, AttributeValue] | None = None,  # noqa: ARG002 - likewise
    ) -> Iterator[Span]:
        """As `Telemetry.span`; what is set on it is lost."""
        yield SILENT_SPAN

    def inject(self, headers: MutableMapping[str, str], parent: TraceParent | None = None) -> None:
        """Pass on the headers of `parent`."""
        headers.update(parent or {})
