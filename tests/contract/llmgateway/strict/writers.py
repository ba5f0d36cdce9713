"""Answers of the scripted model in each dialect, whole and as streams, as the real APIs write them."""

import hashlib
import json
import secrets
from collections.abc import Iterator
from itertools import count
from typing import Any

from contract.llmgateway.strict.messages_rules import signature_of
from contract.llmgateway.strict.rule import Document, Memory
from contract.llmgateway.strict.scripted import Said

USAGE = (21, 13)
PIECE = 5
"""Characters of one event."""


def pieces(text: str) -> Iterator[str]:
    for start in range(0, max(1, len(text)), PIECE):
        yield text[start : start + PIECE]


def event(document: Document, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(document)}\n\n".encode()


# Chat completions


def write_chat(said: list[Said], body: Document, kind: str) -> Document:
    calls = [part for part in said if part.kind == "call"]
    text = "".join(part.text for part in said if part.kind == "text")
    message: Document = {"role": "assistant", "content": text or None, "refusal": None, "annotations": []}
    if kind != "openai" and (thoughts := "".join(part.text for part in said if part.kind == "thinking")):
        message["reasoning_content"] = thoughts
    if calls:
        message["tool_calls"] = [_chat_call(part, place, kind) for place, part in enumerate(calls)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if calls else "stop"}
    return {**_chat_head(body, "chat.completion"), "choices": [choice], "usage": _chat_usage()}


def stream_chat(said: list[Said], body: Document, kind: str) -> Iterator[bytes]:
    head = _chat_head(body, "chat.completion.chunk")
    wants_usage = (body.get("stream_options") or {}).get("include_usage") is True

    def chunk(delta: Document, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event({**head, "choices": [choice], **({"usage": None} if wants_usage else {})})

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    number = count()
    for part in said:
        if part.kind == "call":
            place = next(number)
            call = _chat_call(part, place, kind)
            first = {**call, "index": place, "function": {**call["function"], "arguments": ""}}
            yield chunk({"tool_calls": [first]})
            for text in pieces(part.text):
                yield chunk({"tool_calls": [{"index": place, "function": {"arguments": text}}]})
        elif part.kind == "text":
            for text in pieces(part.text):
                yield chunk({"content": text})
        elif kind != "openai":
            for text in pieces(part.text):
                yield chunk({"reasoning_content": text})
    yield chunk({}, "tool_calls" if any(part.kind == "call" for part in said) else "stop")
    if wants_usage:
        yield event({**head, "choices": [], "usage": _chat_usage()})
    yield b"data: [DONE]\n\n"


def _chat_head(body: Document, what: str) -> Document:
    answer_id = f"chatcmpl-{secrets.token_hex(12)}"
    return {
        "id": answer_id,
        "object": what,
        "created": 1_790_000_000,
        "model": body["model"],
        "service_tier": "default",
    }


def _chat_call(part: Said, place: int, kind: str) -> Document:
    call_id = (
        f"call_{secrets.token_hex(12)}" if kind == "openai" else f"functions.{part.name}:{place}{secrets.token_hex(3)}"
    )
    return {"id": call_id, "type": "function", "function": {"name": part.name, "arguments": part.text}}


def _chat_usage() -> Document:
    return {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1], "total_tokens": sum(USAGE)}


# Messages


def write_message(said: list[Said], body: Document, memory: Memory) -> Document:
    reason = "tool_use" if any(part.kind == "call" for part in said) else "end_turn"
    return {
        **_message_head(body),
        "content": [_block(part, memory) for part in said],
        "stop_reason": reason,
        "usage": {"input_tokens": USAGE[0], "output_tokens": USAGE[1]},
    }


def stream_message(said: list[Said], body: Document, memory: Memory) -> Iterator[bytes]:
    head = {**_message_head(body), "usage": {"input_tokens": USAGE[0], "output_tokens": 1}}
    yield event({"type": "message_start", "message": head}, "message_start")
    yield event({"type": "ping"}, "ping")
    for place, part in enumerate(said):
        block = _block(part, memory)
        opening = block | dict.fromkeys({"text", "thinking", "signature"} & set(block), "")
        if part.kind == "call":
            opening["input"] = {}
        yield event({"type": "content_block_start", "index": place, "content_block": opening}, "content_block_start")
        for delta in _deltas(part, block):
            yield event({"type": "content_block_delta", "index": place, "delta": delta}, "content_block_delta")
        yield event({"type": "content_block_stop", "index": place}, "content_block_stop")
    reason = "tool_use" if any(part.kind == "call" for part in said) else "end_turn"
    delta = {"stop_reason": reason, "stop_sequence": None}
    yield event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": USAGE[1]}}, "message_delta")
    yield event({"type": "message_stop"}, "message_stop")


def _deltas(part: Said, block: Document) -> Iterator[Document]:
    for text in pieces(part.text):
        if part.kind == "call":
            yield {"type": "input_json_delta", "partial_json": text}
        else:
            yield {"type": f"{part.kind}_delta", part.kind: text}
    if part.kind == "thinking":
        yield {"type": "signature_delta", "signature": block["signature"]}


def _message_head(body: Document) -> Document:
    return {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _block(part: Said, memory: Memory) -> Document:
    if part.kind == "call":
        return {
            "type": "tool_use",
            "id": f"toolu_{secrets.token_hex(12)}",
            "name": part.name,
            "input": json.loads(part.text),
        }
    if part.kind == "thinking":
        return {"type": "thinking", "thinking": part.text, "signature": signature_of(part.text, memory)}
    return {"type": "text", "text": part.text}


# Responses


def write_response(said: list[Said], body: Document, memory: Memory) -> Document:
    items = [_item(part, body, memory) for part in said]
    return _response(body, items, "completed", memory)


def stream_response(said: list[Said], body: Document, memory: Memory) -> Iterator[bytes]:
    number = count()
    final = write_response(said, body, memory)
    started = {**final, "output": [], "status": "in_progress", "usage": None}

    def send(event_name: str, /, **fields: Any) -> bytes:
        return event(
            {"type": f"response.{event_name}", "sequence_number": next(number), **fields}, f"response.{event_name}"
        )

    yield send("created", response=started)
    yield send("in_progress", response=started)
    for place, (part, item) in enumerate(zip(said, final["output"], strict=True)):
        at = {"item_id": item["id"], "output_index": place}
        yield send("output_item.added", output_index=place, item=_opening(item))
        for name, fields in _item_events(part, item):
            yield send(name, **at, **fields)
        yield send("output_item.done", output_index=place, item=item)
    yield send("completed", response=final)


def _item_events(part: Said, item: Document) -> Iterator[tuple[str, Document]]:
    if item["type"] == "message":
        empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        yield "content_part.added", {"content_index": 0, "part": empty}
        for text in pieces(part.text):
            yield "output_text.delta", {"content_index": 0, "delta": text, "logprobs": []}
        yield "output_text.done", {"content_index": 0, "text": part.text, "logprobs": []}
        yield "content_part.done", {"content_index": 0, "part": item["content"][0]}
    elif item["type"] == "reasoning":
        if item["summary"]:
            yield "reasoning_summary_part.added", {"summary_index": 0, "part": {"type": "summary_text", "text": ""}}
            for text in pieces(part.text):
                yield "reasoning_summary_text.delta", {"summary_index": 0, "delta": text}
            yield "reasoning_summary_text.done", {"summary_index": 0, "text": part.text}
            yield "reasoning_summary_part.done", {"summary_index": 0, "part": item["summary"][0]}
    else:
        for text in pieces(part.text):
            yield "function_call_arguments.delta", {"delta": text}
        yield "function_call_arguments.done", {"arguments": part.text, "name": part.name}


def _opening(item: Document) -> Document:
    if item["type"] == "message":
        return {**item, "content": [], "status": "in_progress"}
    if item["type"] == "function_call":
        return {**item, "arguments": "", "status": "in_progress"}
    return {**item, "summary": []}


def _item(part: Said, body: Document, memory: Memory) -> Document:
    tail = secrets.token_hex(16)
    if part.kind == "text":
        content = [{"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}]
        item: Document = {
            "type": "message",
            "id": f"msg_{tail}",
            "role": "assistant",
            "status": "completed",
            "content": content,
        }
    elif part.kind == "thinking":
        shown = [{"type": "summary_text", "text": part.text}] if (body.get("reasoning") or {}).get("summary") else []
        item = {"type": "reasoning", "id": f"rs_{tail}", "summary": shown}
        if "reasoning.encrypted_content" in (body.get("include") or ()):
            item["encrypted_content"] = hashlib.sha256(f"{memory.secret}{tail}".encode()).hexdigest()
            memory.seals.add(item["encrypted_content"])
    else:
        item = {
            "type": "function_call",
            "id": f"fc_{tail}",
            "call_id": f"call_{secrets.token_hex(12)}",
            "name": part.name.rpartition("__")[2] if _namespace_of(part.name, body) else part.name,
            "arguments": part.text,
            "status": "completed",
            **_namespace_of(part.name, body),
        }
    if body.get("store") is not False:
        memory.items[item["id"]] = item
    return item


def _namespace_of(name: str, body: Document) -> Document:
    for tool in body.get("tools") or ():
        if tool["type"] == "namespace" and any(inner["name"] == name for inner in tool["tools"]):
            return {"namespace": tool["name"]}
    return {}


def _response(body: Document, items: list[Document], status: str, memory: Memory) -> Document:
    response_id = f"resp_{secrets.token_hex(16)}"
    if body.get("store") is not False:
        memory.responses.add(response_id)
    return {
        "id": response_id,
        "object": "response",
        "created_at": 1_790_000_000,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": body["model"],
        "output": items,
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": (body.get("reasoning") or {}).get("effort"), "summary": None},
        "store": body.get("store", True),
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": USAGE[0],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": USAGE[1],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sum(USAGE),
        },
        "metadata": {},
    }
