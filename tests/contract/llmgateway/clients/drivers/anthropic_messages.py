"""The anthropic package."""

from typing import Any

from anthropic import Anthropic
from common import (
    ANTHROPIC_MODEL,
    FEATURE,
    FOLLOW_UP,
    KEY,
    PICTURE,
    PROMPT,
    SYSTEM,
    THINKS,
    TOOLS,
    URL,
    run_tool,
    schema_of,
    show,
)
from pydantic import BaseModel

client = Anthropic(base_url=URL, api_key=KEY, max_retries=0)
tools: Any = [{"name": name, "description": "A tool", "input_schema": schema_of(name)} for name in TOOLS]


class Weather(BaseModel):
    city: str
    degrees: int


def ask(messages: list[Any], *, stream: bool, **more: Any) -> Any:
    if THINKS:
        more["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    more = {"model": ANTHROPIC_MODEL, "max_tokens": 4096, "system": SYSTEM, "messages": messages, **more}
    if not stream:
        return client.messages.create(**more)
    with client.messages.stream(**more) as events:
        for _ in events:
            pass
        return events.get_final_message()


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def converse(*, stream: bool) -> list[str]:
    messages: list[Any] = [{"role": "user", "content": PROMPT}]
    while True:
        message = ask(messages, stream=stream, tools=tools)
        messages.append({"role": "assistant", "content": _plain(message)})
        uses = [block for block in message.content if block.type == "tool_use"]
        if not uses:
            break
        results = [
            {"type": "tool_result", "tool_use_id": use.id, "content": run_tool(use.name, use.input)} for use in uses
        ]
        messages.append({"role": "user", "content": results})
    messages.append({"role": "user", "content": FOLLOW_UP})
    return [text_of(message), text_of(ask(messages, stream=stream, tools=tools))]


def _plain(message: Any) -> Any:
    return [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in message.content]


def main() -> None:
    if FEATURE in ("tools", "failover"):
        show([text for stream in (False, True) for text in converse(stream=stream)])
    elif FEATURE == "structured":
        messages: Any = [{"role": "user", "content": PROMPT}]
        parsed = client.messages.parse(model=ANTHROPIC_MODEL, max_tokens=999, messages=messages, output_format=Weather)
        show([], parsed.parsed_output.model_dump())
    elif FEATURE == "pictures":
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}
        content = [{"type": "text", "text": PROMPT}, picture]
        show([text_of(ask([{"role": "user", "content": content}], stream=stream)) for stream in (False, True)])
    else:
        messages = [{"role": "user", "content": PROMPT}]
        first = ask(messages, stream=FEATURE == "stream")
        messages += [{"role": "assistant", "content": _plain(first)}, {"role": "user", "content": FOLLOW_UP}]
        second = ask(messages, stream=FEATURE == "stream")
        thoughts = "".join(block.thinking for block in first.content if block.type == "thinking")
        show([text_of(first), text_of(second)], thinking=thoughts)


main()
