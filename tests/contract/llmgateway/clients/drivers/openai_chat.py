"""The openai package: chat completions."""

import json
from typing import Any

from common import (
    DATA_URL,
    FEATURE,
    FOLLOW_UP,
    KEY,
    OPENAI_MODEL,
    PROMPT,
    SYSTEM,
    THINKS,
    TOOLS,
    URL,
    run_tool,
    schema_of,
    show,
)
from openai import OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
tools: Any = [
    {
        "type": "function",
        "function": {"name": name, "description": "A tool", "parameters": schema_of(name), "strict": True},
    }
    for name in TOOLS
]


class Weather(BaseModel):
    city: str
    degrees: int


def ask(messages: list[Any], *, stream: bool, **more: Any) -> Any:
    if THINKS:
        more["reasoning_effort"] = "medium"
    if not stream:
        return client.chat.completions.create(model=OPENAI_MODEL, messages=messages, **more).choices[0].message
    with client.chat.completions.stream(model=OPENAI_MODEL, messages=messages, **more) as events:
        for _ in events:
            pass
        return events.get_final_completion().choices[0].message


def converse(*, stream: bool) -> list[str]:
    messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]
    while True:
        message = ask(messages, stream=stream, tools=tools)
        said = message.model_dump(exclude_none=True)
        for call in said.get("tool_calls") or ():
            call["function"].pop("parsed_arguments", None)
        said.pop("parsed", None)
        messages.append(said)
        for call in message.tool_calls or ():
            result = run_tool(call.function.name, json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        if not message.tool_calls:
            break
    messages.append({"role": "user", "content": FOLLOW_UP})
    return [message.content, ask(messages, stream=stream, tools=tools).content]


def main() -> None:
    if FEATURE in ("tools", "failover"):
        show([text for stream in (False, True) for text in converse(stream=stream)])
    elif FEATURE == "structured":
        messages: Any = [{"role": "user", "content": PROMPT}]
        parsed = client.chat.completions.parse(model=OPENAI_MODEL, messages=messages, response_format=Weather)
        show([], parsed.choices[0].message.parsed.model_dump())
    elif FEATURE == "pictures":
        content: Any = [{"type": "text", "text": PROMPT}, {"type": "image_url", "image_url": {"url": DATA_URL}}]
        show([ask([{"role": "user", "content": content}], stream=stream).content for stream in (False, True)])
    else:
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]
        first = ask(messages, stream=FEATURE == "stream")
        messages += [first.model_dump(exclude_none=True, exclude={"parsed"}), {"role": "user", "content": FOLLOW_UP}]
        second = ask(messages, stream=FEATURE == "stream")
        show([first.content, second.content], thinking=getattr(first, "reasoning_content", None) or "")


main()
