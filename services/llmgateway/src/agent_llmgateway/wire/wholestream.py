"""A whole answer as the stream that was asked for.

Some servers answer a request for a stream with one document. It is a good answer, and it is paid for: the client gets
it as the events that its API would have sent.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.wire.answerstream import ChunkSource
from agent_llmgateway.wire.lenient import (
    Document,
    encode,
    is_empty,
    list_at,
    object_at,
    read_document,
    said_in,
    word_at,
)

MOST_TIMES: Final = 4
"""As long as the answer, and `SMALL_BYTES` besides, may its events be: each of them repeats its head."""
SMALL_BYTES: Final = 1 << 20
_SAID: Final = frozenset({"message", "delta", "text", "finish_reason", "index"})
_GROWING: Final = {"text": "text_delta", "thinking": "thinking_delta"}


def events_of(dialect: str, body: bytes) -> bytes:
    """The events for a whole answer. Raises MalformedEventError, also for a dialect that has none here."""
    make = _MAKERS.get(dialect)
    if make is None:
        raise MalformedEventError("it is no stream")
    most, size = MOST_TIMES * len(body) + SMALL_BYTES, 0
    events: list[bytes] = []
    for event in make(read_document(body)):
        size += len(event)
        if size > most:
            raise MalformedEventError(f"its events would be more than {MOST_TIMES} times as long")
        events.append(event)
    return b"".join(events)


class WholeSource:
    """Gives the events of an answer that has come whole; the connection is `source`."""

    def __init__(self, source: ChunkSource, events: bytes) -> None:
        self._source = source
        self._events = events

    async def read_chunk(self, timeout_s: float) -> bytes:
        """See `ChunkSource`."""
        del timeout_s
        events, self._events = self._events, b""
        return events

    def close(self) -> None:
        """See `ChunkSource`."""
        self._source.close()


def _chat_events(answer: Document) -> Iterator[bytes]:
    head = {name: value for name, value in answer.items() if name not in ("choices", "usage")}
    head["object"] = "chat.completion.chunk"
    for place, given in enumerate(list_at(answer.get("choices"), "choices")):
        choice = object_at(given, f"choices[{place}]")
        message = dict(said_in(choice, "message", f"choices[{place}]"))
        calls = list_at(message.get("tool_calls"), f"choices[{place}].message.tool_calls")
        if calls:
            message["tool_calls"] = [
                {**object_at(call, "tool_calls[]"), "index": number} for number, call in enumerate(calls)
            ]
        rest = {name: value for name, value in choice.items() if name not in _SAID}
        finish = choice.get("finish_reason") or ("tool_calls" if calls else "stop")
        for delta, end in ((message, None), ({}, finish)):
            yield _data({**head, "choices": [{**rest, "index": place, "delta": delta, "finish_reason": end}]})
    if not is_empty(answer.get("usage")):
        yield _data({**head, "choices": [], "usage": answer["usage"]})
    yield b"data: [DONE]\n\n"


def _message_events(answer: Document) -> Iterator[bytes]:
    start = {**answer, "content": [], "stop_reason": None, "stop_sequence": None}
    yield _event({"type": "message_start", "message": start})
    for index, given in enumerate(list_at(answer.get("content"), "content")):
        block = object_at(given, f"content[{index}]")
        opening, deltas = _opened(block)
        yield _event({"type": "content_block_start", "index": index, "content_block": opening})
        for delta in deltas:
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield _event({"type": "content_block_stop", "index": index})
    end = {"stop_reason": answer.get("stop_reason") or "end_turn", "stop_sequence": answer.get("stop_sequence")}
    yield _event({"type": "message_delta", "delta": end, "usage": answer.get("usage") or {}})
    yield _event({"type": "message_stop"})


def _opened(block: Document) -> tuple[Document, list[Document]]:
    """A block as it begins, and what comes behind it."""
    kind = word_at(block.get("type"))
    if kind == "tool_use":
        text = encode(object_at(block.get("input"), "input")).decode()
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": text}]
    if kind not in _GROWING:
        return block, []
    deltas: list[Document] = [{"type": _GROWING[kind], kind: block.get(kind) or ""}]
    if signature := block.get("signature"):
        deltas.append({"type": "signature_delta", "signature": signature})
    return {**block, kind: "", **({"signature": ""} if kind == "thinking" else {})}, deltas


def _data(document: Mapping[str, Any]) -> bytes:
    return b"data: " + encode(document) + b"\n\n"


def _event(document: Mapping[str, Any]) -> bytes:
    return b"event: " + str(document["type"]).encode() + b"\n" + _data(document)


_MAKERS: Final[Mapping[str, Callable[[Document], Iterator[bytes]]]] = {
    "chat": _chat_events,
    "messages": _message_events,
}
