"""Chunks of a completion as events of a message: one start, blocks one after the other, one stop."""

import secrets
from collections.abc import Iterable
from typing import Any, Final

from agent_llmgateway.wire.translate.answers.blocks import Block, BlockSequence, Step
from agent_llmgateway.wire.translate.answers.chatreader import ChatReader, Kind
from agent_llmgateway.wire.translate.answers.events import named_event
from agent_llmgateway.wire.translate.words import UNSIGNED, is_cut, stop_reason
from agent_llmgateway.wire.usage import message_usage

Document = dict[str, Any]
_DELTAS: Final[dict[Kind, tuple[str, str]]] = {
    "text": ("text_delta", "text"),
    "refusal": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "call": ("input_json_delta", "partial_json"),
}


class ChatToMessageStream:
    """One stream."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._reader = ChatReader()
        self._blocks = BlockSequence()
        self._started = False
        self._refused = False

    def feed(self, data: bytes) -> bytes:
        """See `EventTranslator`."""
        if data.strip() == b"[DONE]":
            return b""
        pieces = self._reader.read_chunk(data)
        self._refused = self._refused or any(piece.kind == "refusal" for piece in pieces)
        return self._start() + self._write(self._blocks.add(pieces))

    def finish(self) -> bytes:
        """See `EventTranslator`."""
        reader = self._reader
        out = self._start() + self._write(self._blocks.add(reader.finish_text()))
        out += self._write(self._blocks.finish(cut=is_cut(reader.finish)))
        reason = stop_reason(reader.finish, has_calls=bool(reader.calls), refused=self._refused)
        usage = message_usage(reader.usage) if reader.usage else None
        delta = {
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": usage or {"output_tokens": 0},  # the dialect has no word for an unknown number
        }
        return out + named_event("message_delta", delta) + named_event("message_stop", {})

    def _start(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        message: Document = {
            "id": self._reader.id or f"msg_{secrets.token_hex(12)}",
            "type": "message",
            "role": "assistant",
            "model": self._reader.model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return named_event("message_start", {"message": message})

    def _write(self, steps: Iterable[Step]) -> bytes:
        out: list[bytes] = []
        for step in steps:
            number = step.block.number
            if step.what == "open":
                out.append(named_event("content_block_start", {"index": number, "content_block": _opening(step.block)}))
            elif step.what == "close":
                out.append(named_event("content_block_stop", {"index": number}))
            else:
                kind, field = _DELTAS[step.block.kind]
                out += [
                    named_event("content_block_delta", {"index": number, "delta": {"type": kind, field: text}})
                    for text in step
                ]
        return b"".join(out)


def _opening(block: Block) -> Document:
    if block.call is not None:
        return {"type": "tool_use", "id": block.call.call_id, "name": block.call.name, "input": {}}
    if block.kind == "thinking":
        return {"type": "thinking", "thinking": "", "signature": UNSIGNED}
    return {"type": "text", "text": ""}
