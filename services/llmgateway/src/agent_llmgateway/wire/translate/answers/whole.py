"""Whole answers between dialects."""

import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.wire.lenient import encode
from agent_llmgateway.wire.translate.answers.blocks import Block, BlockSequence, check_arguments
from agent_llmgateway.wire.translate.answers.chatreader import ChatReader, Piece
from agent_llmgateway.wire.translate.answers.items import new_answer_id, response_document
from agent_llmgateway.wire.translate.answers.messagereader import MessageReader
from agent_llmgateway.wire.translate.answers.stream_to_responses import block_item
from agent_llmgateway.wire.translate.base import Target
from agent_llmgateway.wire.translate.words import STOP_TO_FINISH, UNSIGNED, is_cut, stop_reason
from agent_llmgateway.wire.usage import chat_usage, message_usage, response_usage

Document = dict[str, Any]
Now = Callable[[], float]


def message_to_chat(body: bytes, now_epoch_s: Now, model: str) -> bytes:
    """A whole message as a completion. Raises MalformedEventError."""
    reader = MessageReader()
    pieces = reader.read_answer(body)
    text = _joined(pieces, "text")
    calls = [_chat_call(block) for block in _blocks(pieces, cut=reader.stop == "max_tokens") if block.call]
    message: Document = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
    if thoughts := _joined(pieces, "thinking"):
        message["reasoning_content"] = thoughts
    if calls:
        message["tool_calls"] = calls
    finish = STOP_TO_FINISH.get(reader.stop or "", "stop")
    document: Document = {
        "id": reader.id or f"chatcmpl-{secrets.token_hex(12)}",
        "object": "chat.completion",
        "created": int(now_epoch_s()),
        "model": reader.model or model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
    }
    if reader.usage is not None:
        document["usage"] = chat_usage(reader.usage)
    return encode(document)


def chat_to_message(body: bytes, model: str) -> bytes:
    """A whole completion as a message. Raises MalformedEventError."""
    reader = ChatReader()
    pieces = reader.read_answer(body)
    blocks = [_message_block(block) for block in _blocks(pieces, cut=is_cut(reader.finish))]
    refused = any(piece.kind == "refusal" for piece in pieces)
    document: Document = {
        "id": reader.id or f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": reader.model or model,
        "content": blocks,
        "stop_reason": stop_reason(reader.finish, has_calls=bool(reader.calls), refused=refused),
        "stop_sequence": None,
        "usage": message_usage(reader.usage) if reader.usage else {"input_tokens": 0, "output_tokens": 0},
    }
    return encode(document)


def chat_to_response(body: bytes, now_epoch_s: Now, target: Target) -> bytes:
    """A whole completion as a response. Raises MalformedEventError."""
    reader = ChatReader()
    answer_id = new_answer_id()
    blocks = list(_blocks(reader.read_answer(body), cut=is_cut(reader.finish)))
    items = [block_item(answer_id, block, target) for block in blocks or [Block("text", number=0)]]
    target.items.keep(items)
    usage = response_usage(reader.usage) if reader.usage else None
    model, finish = reader.model or target.model, reader.finish or "stop"
    return encode(response_document(answer_id, model, now_epoch_s(), items, finish=finish, usage=usage))


def _blocks(pieces: list[Piece], *, cut: bool) -> list[Block]:
    sequence = BlockSequence()
    steps = [*sequence.add(pieces), *sequence.finish(cut=cut)]
    return [step.block for step in steps if step.what == "close"]


def _joined(pieces: list[Piece], kind: str) -> str:
    return "".join(piece.text for piece in pieces if piece.kind == kind)


def _chat_call(block: Block) -> Document:
    if block.call is None:
        raise MalformedEventError("not a tool call")
    function = {"name": block.call.name, "arguments": block.text or "{}"}
    return {"id": block.call.call_id, "type": "function", "function": function}


def _message_block(block: Block) -> Document:
    if block.call is not None:
        check_arguments(block.text, block.call.where)  # also when cut: there is no field for half an object
        given = msgspec.Raw((block.text.strip() or "{}").encode("utf-8", "replace"))
        return {"type": "tool_use", "id": block.call.call_id, "name": block.call.name, "input": given}
    if block.kind == "thinking":
        return {"type": "thinking", "thinking": block.text, "signature": UNSIGNED}
    return {"type": "text", "text": block.text}
