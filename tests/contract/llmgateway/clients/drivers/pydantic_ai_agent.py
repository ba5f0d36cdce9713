"""Pydantic AI with its OpenAI models (chat and responses) or its Anthropic model."""

import asyncio
import base64
from typing import Any

from common import (
    ANTHROPIC_MODEL,
    FEATURE,
    FOLLOW_UP,
    KEY,
    OPENAI_MODEL,
    PICTURE,
    PROMPT,
    SYSTEM,
    TASK,
    THINKS,
    URL,
    get_time,
    get_weather,
    show,
)
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.models.openai import (
    OpenAIChatModel,
    OpenAIChatModelSettings,
    OpenAIResponsesModel,
    OpenAIResponsesModelSettings,
)
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider


class Weather(BaseModel):
    city: str
    degrees: int


def make_model() -> tuple[Any, Any]:
    if TASK["variant"] == "anthropic":
        thinking = AnthropicModelSettings(
            max_tokens=4096, anthropic_thinking={"type": "enabled", "budget_tokens": 1024}
        )  # fmt: skip
        provider = AnthropicProvider(base_url=URL, api_key=KEY)
        return AnthropicModel(ANTHROPIC_MODEL, provider=provider), thinking
    openai = OpenAIProvider(base_url=f"{URL}/v1", api_key=KEY)
    if TASK["variant"] == "responses":
        settings: Any = OpenAIResponsesModelSettings(
            openai_reasoning_effort="medium", openai_reasoning_summary="auto"
        )  # fmt: skip
        return OpenAIResponsesModel(OPENAI_MODEL, provider=openai), settings
    return OpenAIChatModel(OPENAI_MODEL, provider=openai), OpenAIChatModelSettings(openai_reasoning_effort="medium")


async def drain(_: Any, events: Any) -> None:
    async for _event in events:
        pass


async def ask(agent: Any, given: Any, history: Any, *, stream: bool) -> tuple[Any, Any]:
    """`run_stream` would take the text before the first call for the answer."""
    result = await agent.run(given, message_history=history, event_stream_handler=drain if stream else None)
    return result.output, result.all_messages()


async def main() -> None:
    model, settings = make_model()
    more = {"output_type": Weather} if FEATURE == "structured" else {}
    tools = [get_weather, get_time] if FEATURE in ("tools", "failover") else []
    agent = Agent(
        model, instructions=SYSTEM, tools=tools, model_settings=settings if THINKS else None, retries=0, **more
    )
    if FEATURE == "structured":
        show([], (await ask(agent, PROMPT, None, stream=False))[0].model_dump())
        return
    given: Any = PROMPT
    if FEATURE == "pictures":
        given = [PROMPT, BinaryContent(data=base64.b64decode(PICTURE), media_type="image/png")]
    texts = []
    for stream in {"plain": (False,), "stream": (True,)}.get(FEATURE, (False, True)):
        text, history = await ask(agent, given, None, stream=stream)
        texts.append(text)
        if FEATURE != "pictures":
            texts.append((await ask(agent, FOLLOW_UP, history, stream=stream))[0])
    show(texts)


asyncio.run(main())
