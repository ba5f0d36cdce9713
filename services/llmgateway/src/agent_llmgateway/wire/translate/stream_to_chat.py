"""Events of a message as chunks of a completion."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from agent_llmgateway.wire.dialects.base import decode
from agent_llmgateway.wire.translate.answers import chat_usage
from agent_llmgateway.wire.translate.messageschema import AnswerUsage
from agent_llmgateway.wire.translate.streams import data_event
from agent_llmgateway.wire.translate.words import STOP_TO_FINISH

Document = dict[str, Any]


class _Delta(Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Block(Struct):
    type: str = ""
    id: str = ""
    name: str = ""
    text: str = ""


class _Message(Struct):
    id: str = ""
    model: str = ""
    usage: AnswerUsage | None = None


class _Event(Struct):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: AnswerUsage | None = None


_EVENTS: Final = msgspec.json.Decoder(_Event)


class MessageToChatStream:
    """One stream. Calls are numbered in the order in which they begin."""

    def __init__(self, model: str, now_epoch_s: Callable[[], float], *, with_usage: bool) -> None:
        self._head: Document = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": int(now_epoch_s()),
            "model": model,
        }
        self._with_usage = with_usage
        self._calls: dict[int, int] = {}
        self._has_arguments: set[int] = set()
        self._usage: AnswerUsage | None = None

    def feed(self, data: bytes) -> bytes:
        """See `EventTranslator`."""
        event: _Event = decode(_EVENTS, data)
        match event.type:
            case "message_start":
                return self._start(event)
            case "content_block_start":
                return self._start_block(event)
            case "content_block_delta":
                return self._add(event)
            case "content_block_stop":
                return self._stop_block(event)
            case "message_delta":
                return self._finish(event)
        return b""

    def finish(self) -> bytes:
        """See `EventTranslator`."""
        done = b"data: [DONE]\n\n"
        usage = chat_usage(self._usage) if self._with_usage and self._usage is not None else None
        return done if usage is None else data_event({**self._head, "choices": [], "usage": usage}) + done

    def _start(self, event: _Event) -> bytes:
        if event.message is not None:
            self._head["id"] = event.message.id
            self._head["model"] = event.message.model or self._head["model"]
            self._usage = event.message.usage
        return self._chunk({"role": "assistant", "content": ""})

    def _start_block(self, event: _Event) -> bytes:
        block = event.content_block
        if block is None or block.type != "tool_use":
            return self._chunk({"content": block.text}) if block and block.text else b""
        number = self._calls[event.index] = len(self._calls)
        function = {"name": block.name, "arguments": ""}
        call = {"index": number, "id": block.id, "type": "function", "function": function}
        return self._chunk({"tool_calls": [call]})

    def _add(self, event: _Event) -> bytes:
        delta = event.delta or _Delta()
        if delta.type == "text_delta":
            return self._chunk({"content": delta.text})
        if delta.type == "thinking_delta":
            return self._chunk({"reasoning_content": delta.thinking})
        if delta.type == "input_json_delta" and delta.partial_json:
            self._has_arguments.add(event.index)
            return self._arguments(event.index, delta.partial_json)
        return b""

    def _stop_block(self, event: _Event) -> bytes:
        """A call without arguments has none in its events; as JSON it has to have some."""
        if event.index in self._calls and event.index not in self._has_arguments:
            return self._arguments(event.index, "{}")
        return b""

    def _arguments(self, block: int, text: str) -> bytes:
        return self._chunk({"tool_calls": [{"index": self._calls[block], "function": {"arguments": text}}]})

    def _finish(self, event: _Event) -> bytes:
        if event.usage is not None:
            before = self._usage or AnswerUsage()
            self._usage = AnswerUsage(
                input_tokens=event.usage.input_tokens or before.input_tokens,
                output_tokens=event.usage.output_tokens or before.output_tokens,
                cache_read_input_tokens=event.usage.cache_read_input_tokens or before.cache_read_input_tokens,
                cache_creation_input_tokens=event.usage.cache_creation_input_tokens
                or before.cache_creation_input_tokens,
            )
        reason = event.delta.stop_reason if event.delta else None
        return self._chunk({}, STOP_TO_FINISH.get(reason, "stop")) if reason else b""

    def _chunk(self, delta: Document, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return data_event({**self._head, "choices": [choice]})
