"""Events of a stream as bytes."""

from typing import Any

from agent_llmgateway.wire.lenient import encode

Document = dict[str, Any]


def named_event(name: str, document: Document) -> bytes:
    """An event with a name, which is also its `type`."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode({"type": name, **document}))


def data_event(document: Document) -> bytes:
    """An event without a name."""
    return b"data: " + encode(document) + b"\n\n"
