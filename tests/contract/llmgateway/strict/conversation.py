"""What a conversation is about, whatever dialect it came in: as much as the scripted model looks at."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass
class Conversation:
    """`results` are the answers of tools in rounds: those that came between two turns of the model."""

    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    results: list[list[str]] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    choice: str | None = None
    """A tool that has to be called; `*` for any."""
    has_schema: bool = False
    thinks: bool = False

    def add_result(self, text: str) -> None:
        if not self.results or self._closed:
            self.results.append([])
        self._closed = False
        self.results[-1].append(text)

    def end_round(self) -> None:
        self._closed = True

    _closed: bool = True

    def add_picture(self, source: str) -> None:
        """By a digest of its bytes, or its address."""
        data = source.partition(";base64,")[2] if source.startswith("data:") else ""
        self.pictures.append(hashlib.sha256(base64.b64decode(data)).hexdigest()[:12] if data else source)


def text_of(content: Any) -> str:
    """All text of a content, which is a text or a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or part.get("refusal") or "" for part in content or () if isinstance(part, dict))


def read_chat(body: Document) -> Conversation:
    seen = Conversation(tools=[tool["function"]["name"] for tool in body.get("tools") or ()])
    for turn in body["messages"]:
        role, content = turn["role"], turn.get("content")
        if role == "tool":
            seen.add_result(text_of(content))
        elif role == "assistant":
            seen.end_round()
            seen.said.append(text_of(content))
            for call in turn.get("tool_calls") or ():
                seen.calls.append((call["function"]["name"], json.loads(call["function"]["arguments"] or "{}")))
        elif role == "user":
            seen.asked.append(text_of(content))
            for part in content if isinstance(content, list) else ():
                if part["type"] == "image_url":
                    seen.add_picture(part["image_url"]["url"])
    choice = body.get("tool_choice")
    seen.choice = choice["function"]["name"] if isinstance(choice, dict) else "*" if choice == "required" else None
    seen.has_schema = (body.get("response_format") or {}).get("type") in ("json_schema", "json_object")
    seen.thinks = body.get("reasoning_effort") not in (None, "none")
    return seen


def read_messages(body: Document) -> Conversation:
    seen = Conversation(tools=[tool["name"] for tool in body.get("tools") or ()])
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == "assistant":
            seen.end_round()
            seen.said.append(text_of(blocks))
            seen.calls += [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
            continue
        for block in blocks:
            if block["type"] == "tool_result":
                inner = block.get("content") or ""
                seen.add_result(text_of(inner))
                _add_pictures(seen, inner)
        _add_pictures(seen, blocks)
        if text := text_of([block for block in blocks if block["type"] == "text"]):
            seen.asked.append(text)
    choice = body.get("tool_choice") or {}
    seen.choice = choice.get("name") or ("*" if choice.get("type") == "any" else None)
    seen.has_schema = bool((body.get("output_config") or {}).get("format"))
    seen.thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    return seen


def _add_pictures(seen: Conversation, blocks: Any) -> None:
    for block in blocks if isinstance(blocks, list) else ():
        if block["type"] == "image":
            source = block["source"]
            url = source.get("url") or f"data:{source['media_type']};base64,{source['data']}"
            seen.add_picture(url)


def read_responses(body: Document) -> Conversation:
    seen = Conversation(tools=list(_response_tools(body.get("tools") or ())))
    items = body.get("input") or []
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    for item in items:
        _read_item(seen, item)
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and "name" in choice:
        seen.choice = choice["name"]
    elif choice == "required" or (isinstance(choice, dict) and choice.get("mode") == "required"):
        seen.choice = "*"
    seen.has_schema = ((body.get("text") or {}).get("format") or {}).get("type") in ("json_schema", "json_object")
    seen.thinks = (body.get("reasoning") or {}).get("effort") not in (None, "none")
    return seen


def _response_tools(tools: Any) -> Any:
    for tool in tools:
        if tool["type"] == "namespace":
            yield from _response_tools(tool["tools"])
        elif tool["type"] in ("function", "custom"):
            yield tool["name"]


def _read_item(seen: Conversation, item: Document) -> None:
    kind = item.get("type", "message")
    if kind == "message" and item["role"] == "assistant":
        seen.end_round()
        seen.said.append(text_of(item["content"]))
    elif kind == "message" and item["role"] == "user":
        seen.asked.append(text_of(item["content"]))
        _add_input_images(seen, item["content"])
    elif kind in ("function_call", "custom_tool_call"):
        seen.end_round()
        given = item["input"] if kind == "custom_tool_call" else json.loads(item["arguments"] or "{}")
        seen.calls.append((item["name"], given))
    elif kind in ("function_call_output", "custom_tool_call_output"):
        seen.add_result(text_of(item["output"]))
        _add_input_images(seen, item["output"])


def _add_input_images(seen: Conversation, parts: Any) -> None:
    for part in parts if isinstance(parts, list) else ():
        if part["type"] == "input_image":
            seen.add_picture(part["image_url"])
