"""A reply in the words of each dialect: whole, or as the events of a stream."""

import json
from typing import Any, NamedTuple

from agent_llmgateway.mock.script import Reply, ScriptedCall, ScriptedError

Document = dict[str, Any]
CREATED = 1_750_000_000


class Frame(NamedTuple):
    """One event. `output` events are those that faults are counted by; `usage` ones are left out on demand."""

    data: bytes
    output: bool = False
    sentinel: bool = False


def arguments_of(call: ScriptedCall) -> str:
    """Arguments as the text that OpenAI sends; text is sent as it is."""
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)


def pieces(text: str, count: int) -> list[str]:
    """`text` in `count` pieces of nearly one length; fewer when it is shorter."""
    size = max(1, -(-len(text) // count))
    return [text[at : at + size] for at in range(0, len(text), size)]


def error_document(error: ScriptedError, dialect: str, status: int) -> Document:
    """The body of an error answer."""
    if dialect in ("messages", "count_tokens"):
        return {"type": "error", "error": {"type": error.type, "message": error.message}, "request_id": "req_mock"}
    code = error.code if error.code is not None else (None if status < 500 else error.type)
    return {"error": {"message": error.message, "type": error.type, "param": None, "code": code}}


def embeddings_answer(reply: Reply, model: str, count: int, *, as_base64: bool) -> Document:
    """Vectors that depend on nothing but their length and place."""
    import base64  # noqa: PLC0415 - embeddings only
    import struct  # noqa: PLC0415 - likewise

    vectors = [[round((i + 1) / (d + 2), 6) for d in range(reply.dimensions)] for i in range(count)]
    shown = [
        base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if as_base64 else vector
        for vector in vectors
    ]
    document: Document = {
        "object": "list",
        "model": model,
        "data": [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(shown)],
    }
    if reply.usage:
        document["usage"] = {"prompt_tokens": reply.usage.input, "total_tokens": reply.usage.input}
    return document


# Chat completions


def chat_answer(reply: Reply, text: str, model: str) -> Document:
    """A whole completion."""
    message: Document = {"role": "assistant", "content": text or None, "refusal": None}
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        message["content"] = None
        message["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": arguments_of(c)}}
            for c in reply.tool_calls
        ]
    document: Document = {
        "id": "chatcmpl-mock",
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": chat_finish(reply)}],
    }
    if reply.usage:
        document["usage"] = chat_usage(reply)
    return document


def chat_finish(reply: Reply) -> str:
    """The scripted reason, or the one that fits the answer."""
    return reply.finish or ("tool_calls" if reply.tool_calls else "stop")


def chat_usage(reply: Reply) -> Document | None:
    """`usage` of completions."""
    if reply.usage is None:
        return None
    return {
        "prompt_tokens": reply.usage.input,
        "completion_tokens": reply.usage.output,
        "total_tokens": reply.usage.input + reply.usage.output,
        "prompt_tokens_details": {"cached_tokens": reply.usage.cached},
    }


def chat_frames(reply: Reply, text: str, model: str, *, with_usage: bool) -> list[Frame]:
    """The chunks of a streamed completion."""

    def chunk(delta: Document, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _chat_event(model, [choice], {"usage": None} if with_usage else {})

    frames = [Frame(chunk({"role": "assistant", "content": ""}))]
    frames += [Frame(chunk({"reasoning_content": part}), True) for part in pieces(reply.reasoning, reply.chunks)]
    if reply.tool_calls:
        for index, call in enumerate(reply.tool_calls):
            head = {"index": index, "id": call.id, "type": "function"}
            opened = {**head, "function": {"name": call.name, "arguments": ""}}
            frames.append(Frame(chunk({"tool_calls": [opened]}), True))
            for part in pieces(arguments_of(call), reply.chunks):
                frames.append(Frame(chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]}), True))
    else:
        frames += [Frame(chunk({"content": part}), True) for part in pieces(text, reply.chunks)]
    frames.append(Frame(chunk({}, chat_finish(reply))))
    if with_usage and reply.usage:
        frames.append(Frame(_chat_event(model, [], {"usage": chat_usage(reply)})))
    return [*frames, Frame(b"data: [DONE]\n\n", sentinel=True)]


def _chat_event(model: str, choices: list[Document], more: Document) -> bytes:
    document = {
        "id": "chatcmpl-mock",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
        "choices": choices,
        **more,
    }
    return b"data: " + json.dumps(document).encode() + b"\n\n"


# Messages

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def message_answer(reply: Reply, text: str, model: str) -> Document:
    """A whole message."""
    blocks: list[Document] = []
    if reply.reasoning:
        blocks.append({"type": "thinking", "thinking": reply.reasoning, "signature": "mock"})
    if reply.tool_calls:
        blocks += [
            {"type": "tool_use", "id": c.id, "name": c.name, "input": json.loads(arguments_of(c))}
            for c in reply.tool_calls
        ]
    else:
        blocks.append({"type": "text", "text": text})
    return {
        **_message_head(model),
        "content": blocks,
        "stop_reason": _STOP_REASONS[chat_finish(reply)],
        "usage": _message_usage(reply) or {},
    }


def message_frames(reply: Reply, text: str, model: str) -> list[Frame]:
    """The events of a streamed message."""
    usage = _message_usage(reply)
    start = {**_message_head(model), "content": [], "stop_reason": None}
    if usage:
        start["usage"] = {**usage, "output_tokens": 1}
    frames = [_event("message_start", {"message": start}), _event("ping", {})]
    blocks: list[tuple[Document, str, list[str]]] = []
    if reply.reasoning:
        parts = pieces(reply.reasoning, reply.chunks)
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, "thinking", parts))
    if reply.tool_calls:
        for call in reply.tool_calls:
            head = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            blocks.append((head, "partial_json", pieces(arguments_of(call), reply.chunks)))
    else:
        blocks.append(({"type": "text", "text": ""}, "text", pieces(text, reply.chunks)))
    for index, (head, field, parts) in enumerate(blocks):
        frames += _block_frames(index, head, field, parts)
    delta: Document = {"delta": {"stop_reason": _STOP_REASONS[chat_finish(reply)], "stop_sequence": None}}
    if usage:
        delta["usage"] = {"output_tokens": usage["output_tokens"]}
    return [*frames, _event("message_delta", delta), _event("message_stop", {})]


def _block_frames(index: int, head: Document, field: str, parts: list[str]) -> list[Frame]:
    kind = {"text": "text_delta", "thinking": "thinking_delta", "partial_json": "input_json_delta"}[field]
    opened = _event("content_block_start", {"index": index, "content_block": head}, output=field == "partial_json")
    frames = [opened]
    deltas = ({"index": index, "delta": {"type": kind, field: part}} for part in parts)
    frames += [_event("content_block_delta", delta, output=True) for delta in deltas]
    if field == "thinking":
        signature = {"index": index, "delta": {"type": "signature_delta", "signature": "mock"}}
        frames.append(_event("content_block_delta", signature, output=True))
    return [*frames, _event("content_block_stop", {"index": index})]


def _message_head(model: str) -> Document:
    return {"id": "msg_mock", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}


def _message_usage(reply: Reply) -> Document | None:
    if reply.usage is None:
        return None
    return {
        "input_tokens": reply.usage.input - reply.usage.cached,
        "cache_read_input_tokens": reply.usage.cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": reply.usage.output,
    }


def _event(name: str, document: Document, *, output: bool = False) -> Frame:
    return Frame(f"event: {name}\ndata: {json.dumps({'type': name, **document})}\n\n".encode(), output)
