"""Small clients of the three dialects: each keeps the conversation as its vendor's own SDK does.

`request` is the next body, `take` reads a whole answer and `take_stream` a stream; both give back what was said, in
order, as `Said`, and keep it for the next request.
"""

import json
from typing import Any

from contract.llmgateway.strict.rule import Document
from contract.llmgateway.strict.scripted import Said

TOOLS = ("get_weather", "get_time")
ANY_OBJECT = {"type": "object", "properties": {}}


def read_events(stream: bytes) -> list[Document]:
    """The data of each event but the sentinel."""
    found = []
    for block in stream.decode().split("\n\n"):
        data = "\n".join(line[6:] for line in block.split("\n") if line.startswith("data: "))
        if data and data != "[DONE]":
            found.append(json.loads(data))
    return found


class ChatClient:
    dialect = "chat"

    def __init__(self) -> None:
        self.turns: list[Document] = [{"role": "system", "content": "be brief"}]
        self.calls: list[str] = []

    def user(self, text: str, picture: str | None) -> None:
        parts: list[Document] = [{"type": "text", "text": text}]
        if picture:
            parts.append({"type": "image_url", "image_url": {"url": picture}})
        self.turns.append({"role": "user", "content": parts if picture else text})

    def results(self, texts: list[str]) -> None:
        for call_id, text in zip(self.calls, texts, strict=True):
            self.turns.append({"role": "tool", "tool_call_id": call_id, "content": text})

    def request(self, *, stream: bool) -> Document:
        functions = [{"type": "function", "function": {"name": name, "parameters": ANY_OBJECT}} for name in TOOLS]
        body: Document = {"model": "m", "messages": self.turns, "tools": functions, "reasoning_effort": "medium"}
        return {**body, "stream": True} if stream else body

    def take(self, document: Document) -> list[Said]:
        message = document["choices"][0]["message"]
        assert document["choices"][0]["finish_reason"]
        return self._keep(
            message.get("reasoning_content") or "", message["content"] or "", message.get("tool_calls") or []
        )

    def take_stream(self, stream: bytes) -> list[Said]:
        thoughts = text = ""
        calls: dict[int, Document] = {}
        finish = None
        for chunk in read_events(stream):
            for choice in chunk["choices"]:
                delta, finish = choice["delta"], choice["finish_reason"] or finish
                text += delta.get("content") or ""
                thoughts += delta.get("reasoning_content") or ""
                for piece in delta.get("tool_calls") or ():
                    call = calls.setdefault(
                        piece["index"], {"type": "function", "function": {"name": "", "arguments": ""}}
                    )
                    call["id"] = piece.get("id") or call.get("id")
                    call["function"]["name"] += piece["function"].get("name") or ""
                    call["function"]["arguments"] += piece["function"].get("arguments") or ""
        assert finish
        return self._keep(thoughts, text, list(calls.values()))

    def _keep(self, thoughts: str, text: str, calls: list[Document]) -> list[Said]:
        turn: Document = {"role": "assistant", "content": text or None}
        if thoughts:
            turn["reasoning_content"] = thoughts
        if calls:
            turn["tool_calls"] = calls
        self.turns.append(turn)
        self.calls = [call["id"] for call in calls]
        said = [Said("thinking", thoughts)] if thoughts else []
        said += [Said("text", text)] if text else []
        return [*said, *(Said("call", c["function"]["arguments"], c["function"]["name"]) for c in calls)]


class MessagesClient:
    dialect = "messages"

    def __init__(self) -> None:
        self.turns: list[Document] = []
        self.calls: list[str] = []

    def user(self, text: str, picture: str | None) -> None:
        blocks: list[Document] = [{"type": "text", "text": text}]
        if picture:
            media_type, _, data = picture.removeprefix("data:").partition(";base64,")
            blocks.append({"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}})
        self.turns.append({"role": "user", "content": blocks})

    def results(self, texts: list[str]) -> None:
        given = zip(self.calls, texts, strict=True)
        blocks = [{"type": "tool_result", "tool_use_id": use, "content": text} for use, text in given]
        self.turns.append({"role": "user", "content": blocks})

    def request(self, *, stream: bool) -> Document:
        body: Document = {
            "model": "m",
            "max_tokens": 4096,
            "system": "be brief",
            "messages": self.turns,
            "tools": [{"name": name, "input_schema": ANY_OBJECT} for name in TOOLS],
            "thinking": {"type": "enabled", "budget_tokens": 1024},
        }
        return {**body, "stream": True} if stream else body

    def take(self, document: Document) -> list[Said]:
        assert document["stop_reason"]
        return self._keep(document["content"])

    def take_stream(self, stream: bytes) -> list[Said]:
        blocks: list[Document] = []
        ended = False
        for event in read_events(stream):
            if event["type"] == "content_block_start":
                assert event["index"] == len(blocks)
                blocks.append({**event["content_block"], "json": ""})
            elif event["type"] == "content_block_delta":
                self._add(blocks[event["index"]], event["delta"])
            ended = ended or event["type"] == "message_stop"
        assert ended
        for block in blocks:
            given = block.pop("json")
            if block["type"] == "tool_use":
                block["input"] = json.loads(given or "{}")
        return self._keep(blocks)

    def _add(self, block: Document, delta: Document) -> None:
        if delta["type"] == "input_json_delta":
            block["json"] += delta["partial_json"]
        else:
            name = delta["type"].removesuffix("_delta")
            block[name] = delta[name] if name == "signature" else block[name] + delta[name]

    def _keep(self, blocks: list[Document]) -> list[Said]:
        self.turns.append({"role": "assistant", "content": blocks})
        self.calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        said = []
        for block in blocks:
            if block["type"] == "tool_use":
                said.append(Said("call", json.dumps(block["input"]), block["name"]))
            else:
                said.append(Said(block["type"], block[block["type"]]))
        return said


class ResponsesClient:
    dialect = "responses"

    def __init__(self) -> None:
        self.turns: list[Document] = []
        self.calls: list[str] = []

    def user(self, text: str, picture: str | None) -> None:
        parts: list[Document] = [{"type": "input_text", "text": text}]
        if picture:
            parts.append({"type": "input_image", "image_url": picture, "detail": "auto"})
        self.turns.append({"role": "user", "content": parts})

    def results(self, texts: list[str]) -> None:
        for call_id, text in zip(self.calls, texts, strict=True):
            self.turns.append({"type": "function_call_output", "call_id": call_id, "output": text})

    def request(self, *, stream: bool) -> Document:
        body: Document = {
            "model": "m",
            "instructions": "be brief",
            "input": self.turns,
            "tools": [{"type": "function", "name": name, "parameters": ANY_OBJECT} for name in TOOLS],
            "reasoning": {"effort": "medium", "summary": "auto"},
        }
        return {**body, "stream": True} if stream else body

    def take(self, document: Document) -> list[Said]:
        assert document["status"] == "completed"
        self.turns += document["output"]
        items = document["output"]
        self.calls = [item["call_id"] for item in items if item["type"] == "function_call"]
        said: list[Said] = []
        for item in items:
            if item["type"] == "function_call":
                said.append(Said("call", item["arguments"], item["name"]))
            elif item["type"] == "reasoning":
                shown: list[Any] = [*item.get("summary", ()), *item.get("content", ())]
                said.append(Said("thinking", "".join(part["text"] for part in shown)))
            else:
                said.append(Said("text", "".join(part["text"] for part in item["content"])))
        return said

    def take_stream(self, stream: bytes) -> list[Said]:
        """The last event has all of it; the others have to say the same."""
        events = read_events(stream)
        final = events[-1]["response"]
        pieces: dict[str, str] = {}
        for event in events:
            if event["type"].endswith(".delta"):
                pieces[event["item_id"]] = pieces.get(event["item_id"], "") + event["delta"]
        for item, said in zip(final["output"], self.take(final), strict=True):
            assert pieces.get(item["id"], "") == said.text, item
        self.turns = self.turns[: -len(final["output"])]
        return self.take(final)


CLIENTS = (ChatClient, MessagesClient, ResponsesClient)
