"""Google's Agent Development Kit with its LiteLlm model, which names the provider before the model."""

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
from google.adk.agents import LlmAgent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.models.lite_llm import LiteLlm
from google.adk.runners import InMemoryRunner
from google.genai import types
from pydantic import BaseModel


class Weather(BaseModel):
    city: str
    degrees: int


def make_agent() -> LlmAgent:
    more: dict[str, Any] = {}
    if TASK["variant"] == "anthropic":
        model = LiteLlm(model=f"anthropic/{ANTHROPIC_MODEL}", api_base=URL, api_key=KEY, max_tokens=4096)
        if THINKS:
            model = LiteLlm(
                model=f"anthropic/{ANTHROPIC_MODEL}", api_base=URL, api_key=KEY, max_tokens=4096,
                thinking={"type": "enabled", "budget_tokens": 1024},
            )  # fmt: skip
    else:
        options = {"reasoning_effort": "medium"} if THINKS else {}
        model = LiteLlm(model=f"openai/{OPENAI_MODEL}", api_base=f"{URL}/v1", api_key=KEY, **options)
    if FEATURE in ("tools", "failover"):
        more["tools"] = [get_weather, get_time]
    if FEATURE == "structured":
        more["output_schema"] = Weather
    return LlmAgent(name="tester", model=model, instruction=SYSTEM, **more)


async def ask(runner: Any, session: Any, parts: list[Any], *, stream: bool) -> str:
    mode = StreamingMode.SSE if stream else StreamingMode.NONE
    texts: list[str] = []
    async for event in runner.run_async(
        user_id="u", session_id=session.id, new_message=types.Content(role="user", parts=parts),
        run_config=RunConfig(streaming_mode=mode),
    ):  # fmt: skip
        if event.error_message:
            raise RuntimeError(event.error_message)
        if event.is_final_response() and event.content and not event.partial:
            texts = [part.text for part in event.content.parts or () if part.text and not part.thought]
    return "".join(texts)


async def main() -> None:
    runner = InMemoryRunner(agent=make_agent(), app_name="tester")
    shown: list[str] = []
    for stream in {"plain": (False,), "stream": (True,), "structured": (False,)}.get(FEATURE, (False, True)):
        session = await runner.session_service.create_session(app_name="tester", user_id="u")
        parts = [types.Part(text=PROMPT)]
        if FEATURE == "pictures":
            parts.append(types.Part.from_bytes(data=base64.b64decode(PICTURE), mime_type="image/png"))
        shown.append(await ask(runner, session, parts, stream=stream))
        if FEATURE not in ("pictures", "structured"):
            shown.append(await ask(runner, session, [types.Part(text=FOLLOW_UP)], stream=stream))
    if FEATURE == "structured":
        show([], Weather.model_validate_json(shown[0]).model_dump())
    else:
        show(shown)


asyncio.run(main())
