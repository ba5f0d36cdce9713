"""A reply in the words of OpenAI's responses."""

import json
from collections.abc import Iterator
from itertools import count

from agent_llmgateway.mock.answers import CREATED, Document, Frame, arguments_of, pieces
from agent_llmgateway.mock.script import Reply


def response_answer(reply: Reply, text: str, model: str) -> Document:
    """A whole response."""
    status = "incomplete" if reply.finish == "length" else "completed"
    document = _response(model, status, _items(reply, text))
    if status == "incomplete":
        document["incomplete_details"] = {"reason": "max_output_tokens"}
    if reply.usage:
        document["usage"] = {
            "input_tokens": reply.usage.input,
            "input_tokens_details": {"cached_tokens": reply.usage.cached, "cache_write_tokens": 0},
            "output_tokens": reply.usage.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": reply.usage.input + reply.usage.output,
        }
    return document


def response_frames(reply: Reply, text: str, model: str) -> list[Frame]:
    """The events of a streamed response."""
    numbers = count()

    def event(kind: str, document: Document, *, output: bool = False) -> Frame:
        data = json.dumps({"type": kind, "sequence_number": next(numbers), **document})
        return Frame(f"event: {kind}\ndata: {data}\n\n".encode(), output)

    started = {"response": _response(model, "in_progress", [])}
    frames = [event("response.created", started), event("response.in_progress", started)]
    for index, item in enumerate(_items(reply, text)):
        frames.append(event("response.output_item.added", {"output_index": index, "item": _opened(item)}))
        for kind, document in _item_events(item, reply.chunks):
            place = {"item_id": item["id"], "output_index": index, **document}
            frames.append(event(kind, place, output=kind.endswith(".delta")))
        frames.append(event("response.output_item.done", {"output_index": index, "item": item}))
    whole = response_answer(reply, text, model)
    return [*frames, event(f"response.{whole['status']}", {"response": whole})]


def _item_events(item: Document, chunks: int) -> Iterator[tuple[str, Document]]:
    if item["type"] == "function_call":
        kind = "response.function_call_arguments"
        for part in pieces(item["arguments"], chunks):
            yield f"{kind}.delta", {"delta": part}
        yield f"{kind}.done", {"arguments": item["arguments"], "name": item["name"]}
        return
    text = item["content"][0]["text"]
    empty = {"type": "output_text", "text": "", "annotations": []}
    yield "response.content_part.added", {"content_index": 0, "part": empty}
    for part in pieces(text, chunks):
        yield "response.output_text.delta", {"content_index": 0, "delta": part, "logprobs": []}
    yield "response.output_text.done", {"content_index": 0, "text": text, "logprobs": []}
    yield "response.content_part.done", {"content_index": 0, "part": item["content"][0]}


def _items(reply: Reply, text: str) -> list[Document]:
    if reply.tool_calls:
        return [
            {
                "type": "function_call",
                "id": f"fc_mock_{index}",
                "call_id": call.id,
                "name": call.name,
                "arguments": arguments_of(call),
                "status": "completed",
            }
            for index, call in enumerate(reply.tool_calls)
        ]
    part = {"type": "output_text", "text": text, "annotations": []}
    return [{"type": "message", "id": "msg_mock", "role": "assistant", "status": "completed", "content": [part]}]


def _opened(item: Document) -> Document:
    if item["type"] == "function_call":
        return {**item, "arguments": "", "status": "in_progress"}
    return {**item, "content": [], "status": "in_progress"}


def _response(model: str, status: str, output: list[Document]) -> Document:
    return {
        "id": "resp_mock",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": model,
        "output": output,
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
