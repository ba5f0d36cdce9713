"""A stream as the whole answer that it is.

A whole answer shows nothing until it is there, so a silent provider is found out late. Where another route is left,
the provider is asked for a stream instead, and what comes of it is given to the client in one piece.
"""

import json
from typing import Any, Final

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.wire.answerstream import EventTranslator
from agent_llmgateway.wire.lenient import (
    Document,
    encode,
    index_at,
    is_empty,
    keep_fields,
    list_at,
    object_at,
    read_document,
    word_at,
)
from agent_llmgateway.wire.translate.answers.chatreader import ChatReader, Piece, ReadCall
from agent_llmgateway.wire.translate.words import STOP_TO_FINISH

STREAMED: Final = ("chat", "messages", "responses")
"""Dialects whose whole answers may be asked for as streams."""
_READ: Final = frozenset(
    {"content", "refusal", "reasoning_content", "reasoning", "tool_calls", "function_call", "role"}
)  # fmt: skip
_PLAIN_ONLY: Final = (b'"logprobs"', b'"audio"', b'"web_search_options"')
_WISH: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def as_stream_request(dialect: str, body: bytes) -> bytes | None:
    """`body` as a request for a stream; None where the whole answer says more than the stream would."""
    if dialect == "chat" and any(word in body for word in _PLAIN_ONLY):
        return None
    try:
        fields = _WISH(body)
    except msgspec.DecodeError:
        return None
    if dialect == "chat" and bytes(fields.get("n", msgspec.Raw(b"1"))) not in (b"1", b"null"):
        return None
    fields["stream"] = msgspec.Raw(b"true")
    if dialect == "chat":
        fields["stream_options"] = msgspec.Raw(b'{"include_usage":true}')
    return msgspec.json.encode(fields)


def open_collector(dialect: str) -> EventTranslator:
    """Gives the whole answer at the end of the stream."""
    if dialect == "chat":
        return ChatCollector()
    return MessageCollector() if dialect == "messages" else ResponseCollector()


class ChatCollector:
    """Chunks as a completion, which is not checked: in one dialect an answer goes to the client as it came."""

    def __init__(self) -> None:
        self._reader = ChatReader()
        self._said: dict[str, list[str]] = {"text": [], "thinking": [], "refusal": []}
        self._arguments: dict[int, list[str]] = {}
        self._head: Document = {}
        self._extra: Document = {}
        self._usage: Any = None
        self._thoughts = "reasoning_content"

    def feed(self, data: bytes) -> bytes:
        """See `EventTranslator`."""
        if data.strip() == b"[DONE]":
            return b""
        chunk = read_document(data)
        self._head.update({name: value for name, value in chunk.items() if value is not None and name not in _NOT_HEAD})
        self._usage = chunk.get("usage") or self._usage
        for choice in list_at(chunk.get("choices"), "choices")[:1]:
            delta = object_at(object_at(choice, "choices[0]").get("delta"), "choices[0].delta")
            keep_fields(self._extra, delta, _READ)
            if not is_empty(delta.get("reasoning")) and is_empty(delta.get("reasoning_content")):
                self._thoughts = "reasoning"
        self._add(self._reader.read_chunk(data))
        return b""

    def finish(self) -> bytes:
        """See `EventTranslator`."""
        reader = self._reader
        self._add(reader.finish_text())
        texts = {kind: "".join(parts) for kind, parts in self._said.items()}
        calls = [self._call(call) for call in reader.calls]
        message: Document = {
            "role": "assistant",
            "content": texts["text"] if texts["text"] or not calls else None,
            "refusal": texts["refusal"] or None,
            **self._extra,
        }
        if texts["thinking"]:
            message[self._thoughts] = texts["thinking"]
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reader.finish}
        document = {**self._head, "object": "chat.completion", "choices": [choice]}
        return encode({**document, "usage": self._usage} if self._usage else document)

    def _add(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if piece.call is None:
                self._said[piece.kind].append(piece.text)
            else:
                self._arguments.setdefault(piece.call.number, []).append(piece.text)

    def _call(self, call: ReadCall) -> Document:
        function = {"name": call.name, "arguments": "".join(self._arguments.get(call.number, ()))}
        return {**call.extra, "id": call.id or call.call_id, "type": "function", "function": function}


_NOT_HEAD: Final = frozenset({"object", "choices", "usage"})


class MessageCollector:
    """Events as a message, block by block as they came."""

    def __init__(self) -> None:
        self._message: Document = {}
        self._blocks: dict[int, Document] = {}
        self._json: dict[int, list[str]] = {}

    def feed(self, data: bytes) -> bytes:
        """See `EventTranslator`."""
        event = read_document(data)
        match event.get("type"):
            case "message_start":
                self._message = {**object_at(event.get("message"), "message"), **self._message}
            case "content_block_start":
                self._blocks[_place(event, "index")] = dict(object_at(event.get("content_block"), "content_block"))
            case "content_block_delta":
                self._add(_place(event, "index"), object_at(event.get("delta"), "delta"))
            case "message_delta":
                usage = {**object_at(self._message.get("usage"), "usage"), **object_at(event.get("usage"), "usage")}
                self._message = {**self._message, **object_at(event.get("delta"), "delta"), "usage": usage}
        return b""

    def finish(self) -> bytes:
        """See `EventTranslator`."""
        cut = STOP_TO_FINISH.get(word_at(self._message.get("stop_reason"))) in ("length", "content_filter")
        for index, pieces in self._json.items():
            try:
                self._blocks[index]["input"] = json.loads("".join(pieces) or "{}")
            except (ValueError, RecursionError) as error:
                if not cut:  # else what the block began with stays: there is no field for half an object
                    raise MalformedEventError(f"`content[{index}].input` is not valid JSON") from error
        content = list(self._blocks.values()) or list_at(self._message.get("content"), "content")
        return encode({**self._message, "content": content})

    def _add(self, index: int, delta: Document) -> None:
        block = self._blocks.get(index)
        if block is None:
            raise MalformedEventError("`index` of a delta is that of no block")
        kind = word_at(delta.get("type"))
        if kind == "input_json_delta":
            self._json.setdefault(index, []).append(word_at(delta.get("partial_json")))
        elif kind == "citations_delta":
            block["citations"] = [*list_at(block.get("citations"), "citations"), delta.get("citation")]
        elif kind in _ADDED:
            name = _ADDED[kind]
            block[name] = word_at(block.get(name)) + word_at(delta.get(name))
        else:
            raise MalformedEventError(f"`delta.type` is `{kind[:64]}`, which is not known")


_ADDED: Final = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class ResponseCollector:
    """Events as a response: its last one has all of it."""

    def __init__(self) -> None:
        self._response: Document = {}
        self._items: dict[int, Any] = {}

    def feed(self, data: bytes) -> bytes:
        """See `EventTranslator`."""
        if data.strip() == b"[DONE]":
            return b""
        event = read_document(data)
        if event.get("type") == "response.output_item.done":
            self._items[_place(event, "output_index")] = event.get("item")
        if event.get("type") in ("response.completed", "response.incomplete"):
            self._response = object_at(event.get("response"), "response")
        return b""

    def finish(self) -> bytes:
        """See `EventTranslator`."""
        if is_empty(self._response.get("output")) and self._items:
            self._response = {**self._response, "output": list(self._items.values())}
        return encode(self._response)


def _place(event: Document, name: str) -> int:
    place = index_at(event.get(name))
    return -1 if place is None else place
