"""What a message says, whole or in events. Blocks that cannot be carried are errors that name themselves."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.surrogates import join_halves
from agent_llmgateway.wire.lenient import (
    Document,
    arguments_at,
    index_at,
    is_empty,
    list_at,
    object_at,
    read_document,
    text_at,
    word_at,
)
from agent_llmgateway.wire.translate.answers.chatreader import Piece, ReadCall
from agent_llmgateway.wire.usage import Usage, merge_usage, read_message_output, read_message_usage

_QUIET_DELTAS: Final = frozenset({"signature_delta", "citations_delta"})


class _Block(msgspec.Struct):
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Content(msgspec.Struct):
    content: list[_Block]


_CONTENTS: Final = msgspec.json.Decoder(_Content)


class MessageReader:
    """Reads one message. `stop` is its stop reason as it was said."""

    def __init__(self) -> None:
        self.id = ""
        self.model = ""
        self.stop: str | None = None
        self.usage: Usage | None = None
        self.calls: list[ReadCall] = []
        self._by_index: dict[int, ReadCall] = {}
        self._given: dict[int, str] = {}
        self._early: list[Any] = []
        self._has_blocks = False

    def read_answer(self, body: bytes) -> list[Piece]:
        """The pieces of a whole message. Raises MalformedEventError that names the field."""
        answer = read_document(body)
        self._start(answer)
        self.stop = word_at(answer.get("stop_reason")) or None
        return self._read_blocks(list_at(answer.get("content"), "content"), "content", _raw_inputs(body))

    def read_event(self, data: bytes) -> list[Piece]:
        """The pieces of an event. Raises MalformedEventError that names the field."""
        event = read_document(data)
        place = index_at(event.get("index"))
        index = -1 if place is None else place
        match event.get("type"):
            case "message_start":
                message = object_at(event.get("message"), "message")
                self._start(message)
                self.stop = word_at(message.get("stop_reason")) or self.stop
                self._early = list_at(message.get("content"), "message.content")
            case "content_block_start":
                return self._open(index, object_at(event.get("content_block"), "content_block"), "content_block")
            case "content_block_delta":
                return self._add(index, object_at(event.get("delta"), "delta"))
            case "content_block_stop":
                return self._close(index)
            case "message_delta":
                self.usage = merge_usage(self.usage, read_message_output(event.get("usage")))
                self.stop = word_at(object_at(event.get("delta"), "delta").get("stop_reason")) or self.stop
                return self._read_early()
            case kind:
                for name in ("delta", "content_block"):
                    if not is_empty(event.get(name)):
                        raise MalformedEventError(f"`type` of an event is `{str(kind)[:64]}`, and it has `{name}`")
        return []

    def finish_blocks(self) -> list[Piece]:
        """What blocks hold that were never closed, or what the first event had in it where none followed."""
        return self._read_early() + [piece for index in list(self._by_index) for piece in self._close(index)]

    def _read_early(self) -> list[Piece]:
        return [] if self._has_blocks else self._read_blocks(self._early, "message.content")

    def _read_blocks(self, blocks: list[Any], where: str, inputs: Sequence[str] = ()) -> list[Piece]:
        pieces: list[Piece] = []
        for index, item in enumerate(blocks):
            block = {"type": "text", "text": item} if isinstance(item, str) else object_at(item, f"{where}[{index}]")
            if index < len(inputs) and isinstance(block.get("input"), dict):
                block["input"] = inputs[index]
            pieces += self._open(index, block, f"{where}[{index}]") + self._close(index)
        return pieces

    def _start(self, message: Document) -> None:
        self.id = self.id or word_at(message.get("id"))
        self.model = self.model or word_at(message.get("model"))
        self.usage = merge_usage(self.usage, read_message_usage(message.get("usage")))

    def _open(self, index: int, block: Document, where: str) -> list[Piece]:
        self._has_blocks = True
        kind = word_at(block.get("type"))
        if kind == "text":
            return _text("text", text_at(block.get("text"), f"{where}.text"))
        if kind == "thinking":
            return _text("thinking", text_at(block.get("thinking"), f"{where}.thinking"))
        if kind == "redacted_thinking":
            return []
        if kind != "tool_use":
            raise MalformedEventError(f"`{where}.type` is `{kind[:64]}`, which cannot be carried")
        name = word_at(block.get("name"))
        if not name:
            raise MalformedEventError(f"`{where}.name` is missing")
        call = ReadCall(len(self.calls), None, word_at(block.get("id")), name, where)
        self.calls.append(call)
        self._by_index[index] = call
        if not is_empty(block.get("input")):  # all of it at once; events may still bring it again
            self._given[index] = arguments_at(block["input"], f"{where}.input")
        return [Piece("call", "", call)]

    def _add(self, index: int, delta: Document) -> list[Piece]:
        self._has_blocks = True
        kind = word_at(delta.get("type"))
        if kind == "text_delta":
            return _text("text", text_at(delta.get("text"), "delta.text"))
        if kind == "thinking_delta":
            return _text("thinking", text_at(delta.get("thinking"), "delta.thinking"))
        if kind in _QUIET_DELTAS:
            return []
        if kind != "input_json_delta":
            raise MalformedEventError(f"`delta.type` is `{kind[:64]}`, which cannot be carried")
        text = arguments_at(delta.get("partial_json"), "delta.partial_json")
        if not text:
            return []
        call = self._by_index.get(index)
        if call is None:
            raise MalformedEventError("`index` of a delta is that of no tool call")
        self._given[index] = ""
        return [Piece("call", text, call)]

    def _close(self, index: int) -> list[Piece]:
        """A call without arguments has none in its events; as JSON it has to have some."""
        call = self._by_index.pop(index, None)
        given = self._given.pop(index, "{}")
        return [Piece("call", given, call)] if call is not None and given else []


def _raw_inputs(body: bytes) -> list[str]:
    """Arguments as they were written, by block: an agent may compare them to the byte."""
    try:
        return [bytes(block.input).decode() for block in _CONTENTS.decode(body).content]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def _text(kind: Any, text: str) -> list[Piece]:  # noqa: ANN401 - a literal
    return [Piece(kind, join_halves(text))] if text else []
