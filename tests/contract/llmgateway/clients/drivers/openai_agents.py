"""The OpenAI Agents SDK: its responses model, or chat completions with `api: chat`."""

import asyncio
from typing import Any

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from common import (
    DATA_URL,
    FEATURE,
    FOLLOW_UP,
    KEY,
    OPENAI_MODEL,
    PROMPT,
    SYSTEM,
    TASK,
    THINKS,
    URL,
    get_time,
    get_weather,
    show,
)
from openai import AsyncOpenAI
from openai.types.shared import Reasoning
from pydantic import BaseModel

set_tracing_disabled(disabled=True)
client = AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
kind = OpenAIChatCompletionsModel if TASK["variant"] == "chat" else OpenAIResponsesModel


class Weather(BaseModel):
    city: str
    degrees: int


def make_agent() -> Agent:
    settings = ModelSettings(parallel_tool_calls=True) if FEATURE in ("tools", "failover") else ModelSettings()
    if THINKS:
        settings.reasoning = Reasoning(effort="medium", summary="auto")
    return Agent(
        name="tester",
        instructions=SYSTEM,
        model=kind(model=OPENAI_MODEL, openai_client=client),
        model_settings=settings,
        tools=[function_tool(get_weather), function_tool(get_time)] if FEATURE in ("tools", "failover") else [],
        output_type=Weather if FEATURE == "structured" else None,
    )


async def ask(agent: Agent, given: Any, *, stream: bool) -> Any:
    if not stream:
        return await Runner.run(agent, given)
    result = Runner.run_streamed(agent, given)
    async for _ in result.stream_events():
        pass
    return result


async def main() -> None:
    agent = make_agent()
    if FEATURE == "structured":
        result = await ask(agent, PROMPT, stream=False)
        show([], result.final_output.model_dump())
        return
    given: Any = PROMPT
    if FEATURE == "pictures":
        parts = [
            {"type": "input_text", "text": PROMPT},
            {"type": "input_image", "image_url": DATA_URL, "detail": "auto"},
        ]
        given = [{"role": "user", "content": parts}]
        show([(await ask(agent, given, stream=stream)).final_output for stream in (False, True)])
        return
    texts = []
    for stream in {"plain": (False,), "stream": (True,)}.get(FEATURE, (False, True)):
        first = await ask(agent, given, stream=stream)
        second = await ask(agent, [*first.to_input_list(), {"role": "user", "content": FOLLOW_UP}], stream=stream)
        texts += [first.final_output, second.final_output]
    show(texts)


asyncio.run(main())
