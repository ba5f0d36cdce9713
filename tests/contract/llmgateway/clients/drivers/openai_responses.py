"""The openai package: responses, the conversation kept by the client."""

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
    {"type": "function", "name": name, "description": "A tool", "parameters": schema_of(name), "strict": True}
    for name in TOOLS
]


class Weather(BaseModel):
    city: str
    degrees: int


def ask(given: Any, *, stream: bool, **more: Any) -> Any:
    if THINKS:
        more["reasoning"] = {"effort": "medium", "summary": "auto"}
        more["include"] = ["reasoning.encrypted_content"]
    more = {"model": OPENAI_MODEL, "instructions": SYSTEM, "input": given, **more}
    if not stream:
        return client.responses.create(**more)
    with client.responses.stream(**more) as events:
        for _ in events:
            pass
        return events.get_final_response()


def converse(*, stream: bool) -> list[str]:
    items: list[Any] = [{"role": "user", "content": PROMPT}]
    while True:
        response = ask(items, stream=stream, tools=tools)
        items += [_plain(item) for item in response.output]
        calls = [item for item in response.output if item.type == "function_call"]
        for call in calls:
            result = run_tool(call.name, json.loads(call.arguments))
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
        if not calls:
            break
    items.append({"role": "user", "content": FOLLOW_UP})
    return [response.output_text, ask(items, stream=stream, tools=tools).output_text]


def _plain(item: Any) -> Any:
    document = item.model_dump(exclude_none=True)
    document.pop("parsed_arguments", None)
    for part in document.get("content") or ():
        part.pop("parsed", None)
    return document


def main() -> None:
    if FEATURE in ("tools", "failover"):
        show([text for stream in (False, True) for text in converse(stream=stream)])
    elif FEATURE == "structured":
        parsed = client.responses.parse(model=OPENAI_MODEL, input=PROMPT, text_format=Weather)
        show([], parsed.output_parsed.model_dump())
    elif FEATURE == "pictures":
        content = [{"type": "input_text", "text": PROMPT}, {"type": "input_image", "image_url": DATA_URL}]
        show([ask([{"role": "user", "content": content}], stream=stream).output_text for stream in (False, True)])
    else:
        items: list[Any] = [{"role": "user", "content": PROMPT}]
        first = ask(items, stream=FEATURE == "stream")
        items += [*map(_plain, first.output), {"role": "user", "content": FOLLOW_UP}]
        second = ask(items, stream=FEATURE == "stream")
        thoughts = [item for item in first.output if item.type == "reasoning"]
        shown = "".join(p.text for item in thoughts for p in [*item.summary, *(item.content or ())])
        show([first.output_text, second.output_text], thinking=shown)


main()
