"""Chunks of a completion as events of a message: one start, blocks one after the other, one stop."""

from typing import Any, Literal

from agent_llmgateway.errors import AttemptError
from agent_llmgateway.failures.failure import broken_failure
from agent_llmgateway.wire.dialects.chat import ChatUsage
from agent_llmgateway.wire.translate.answers import message_usage, stop_reason
from agent_llmgateway.wire.translate.streams import CallDelta, Chunk, named_event, read_chunk

Document = dict[str, Any]
Kind = Literal["text", "thinking", "tool_use"]
_DELTAS: dict[Kind, tuple[str, str]] = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}


class ChatToMessageStream:
    """One stream."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._started = False
        self._blocks = 0
        self._open: tuple[Kind, int] | None = None
        """Kind of the open block, and number of its call."""
        self._seen_calls: set[int] = set()
        self._finish: str | None = None
        self._refused = False
        self._usage: ChatUsage | None = None

    def feed(self, data: bytes) -> bytes:
        """See `EventTranslator`."""
        if data == b"[DONE]":
            return b""
        chunk = read_chunk(data)
        out = [] if self._started else [self._start(chunk)]
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices or ():
            if choice.index:
                continue
            delta = choice.delta
            if delta is not None:
                if thoughts := delta.reasoning_content or delta.reasoning:
                    out.append(self._add("thinking", 0, thoughts))
                if text := delta.content or delta.refusal:
                    self._refused = self._refused or bool(delta.refusal)
                    out.append(self._add("text", 0, text))
                out += [self._add_call(call) for call in delta.tool_calls or ()]
            self._finish = choice.finish_reason or self._finish
        return b"".join(out)

    def finish(self) -> bytes:
        """See `EventTranslator`."""
        reason = stop_reason(
            self._finish, has_calls=bool(self._seen_calls), refused="refused" if self._refused else None
        )
        usage = message_usage(self._usage) if self._usage else None
        delta = {
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": usage or {"output_tokens": 0},  # the dialect has no word for an unknown number
        }
        return self._close() + named_event("message_delta", delta) + named_event("message_stop", {})

    def _start(self, chunk: Chunk) -> bytes:
        self._started = True
        message: Document = {
            "id": chunk.id,
            "type": "message",
            "role": "assistant",
            "model": chunk.model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return named_event("message_start", {"message": message})

    def _add_call(self, call: CallDelta) -> bytes:
        function = call.function
        arguments = (function.arguments if function else None) or ""
        opened = b""
        if call.index not in self._seen_calls:
            if not call.id or function is None or not function.name:
                raise AttemptError(broken_failure("a tool call of the stream has no id or no name"))
            self._seen_calls.add(call.index)
            block = {"type": "tool_use", "id": call.id, "name": function.name, "input": {}}
            opened = self._open_block("tool_use", call.index, block)
        elif self._open != ("tool_use", call.index):
            raise AttemptError(broken_failure("tool calls of the stream are interleaved"))
        return opened + (self._delta("tool_use", arguments) if arguments else b"")

    def _add(self, kind: Kind, number: int, text: str) -> bytes:
        opened = b""
        if self._open != (kind, number):
            empty = {"thinking": "", "signature": ""} if kind == "thinking" else {"text": ""}
            opened = self._open_block(kind, number, {"type": kind, **empty})
        return opened + self._delta(kind, text)

    def _open_block(self, kind: Kind, number: int, block: Document) -> bytes:
        closed = self._close()
        self._open = (kind, number)
        self._blocks += 1
        return closed + named_event("content_block_start", {"index": self._blocks - 1, "content_block": block})

    def _delta(self, kind: Kind, text: str) -> bytes:
        delta_type, field = _DELTAS[kind]
        return named_event(
            "content_block_delta", {"index": self._blocks - 1, "delta": {"type": delta_type, field: text}}
        )

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return named_event("content_block_stop", {"index": self._blocks - 1})
