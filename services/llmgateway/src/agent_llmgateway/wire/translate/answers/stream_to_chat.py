"""Events of a message as chunks of a completion."""

import secrets
from collections.abc import Callable
from typing import Any

from agent_llmgateway.wire.translate.answers.blocks import check_arguments
from agent_llmgateway.wire.translate.answers.chatreader import Piece
from agent_llmgateway.wire.translate.answers.events import data_event
from agent_llmgateway.wire.translate.answers.messagereader import MessageReader
from agent_llmgateway.wire.translate.words import STOP_TO_FINISH
from agent_llmgateway.wire.usage import chat_usage

Document = dict[str, Any]


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
        self._reader = MessageReader()
        self._arguments: dict[int, list[str]] = {}
        self._finished = False

    def feed(self, data: bytes) -> bytes:
        """See `EventTranslator`."""
        pieces = self._reader.read_event(data)
        out = self._start() + b"".join(map(self._chunk_of, pieces))
        return out + self._end() if self._reader.stop else out

    def finish(self) -> bytes:
        """See `EventTranslator`."""
        out = self._start() + b"".join(map(self._chunk_of, self._reader.finish_blocks())) + self._end()
        usage = self._reader.usage
        if self._with_usage and usage is not None and usage.input_tokens:
            out += data_event({**self._head, "choices": [], "usage": chat_usage(usage)})
        return out + b"data: [DONE]\n\n"

    def _start(self) -> bytes:
        if self._head["id"]:
            return b""
        self._head["id"] = self._reader.id or f"chatcmpl-{secrets.token_hex(12)}"
        self._head["model"] = self._reader.model or self._head["model"]
        return self._chunk({"role": "assistant", "content": ""})

    def _end(self) -> bytes:
        """The finish, once. Raises MalformedEventError when a call is not one."""
        if self._finished:
            return b""
        self._finished = True
        if self._reader.stop not in ("max_tokens", "model_context_window_exceeded"):
            for call in self._reader.calls:
                check_arguments("".join(self._arguments.get(call.number, ())), call.where)
        return self._chunk({}, STOP_TO_FINISH.get(self._reader.stop or "", "stop"))

    def _chunk_of(self, piece: Piece) -> bytes:
        if piece.call is None:
            return self._chunk({"reasoning_content" if piece.kind == "thinking" else "content": piece.text})
        call = piece.call
        if call.number not in self._arguments:
            self._arguments[call.number] = [piece.text]
            function = {"name": call.name, "arguments": piece.text}
            return self._chunk(
                {"tool_calls": [{"index": call.number, "id": call.call_id, "type": "function", "function": function}]}
            )
        self._arguments[call.number].append(piece.text)
        return self._chunk({"tool_calls": [{"index": call.number, "function": {"arguments": piece.text}}]})

    def _chunk(self, delta: Document, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return data_event({**self._head, "choices": [choice]})
