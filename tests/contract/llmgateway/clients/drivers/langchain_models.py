"""LangChain's agent with ChatOpenAI (chat or responses) or ChatAnthropic."""

from typing import Any

from common import (
    ANTHROPIC_MODEL,
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
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


def make_model(*, stream: bool) -> Any:
    more: dict[str, Any] = {"max_retries": 0}
    if TASK["variant"] == "anthropic":
        if THINKS:
            more["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        return ChatAnthropic(
            model=ANTHROPIC_MODEL, base_url=URL, api_key=KEY, max_tokens=4096, streaming=stream, **more
        )  # fmt: skip
    if THINKS and TASK["variant"] == "responses":
        more["reasoning"] = {"effort": "medium", "summary": "auto"}
    elif THINKS:
        more["reasoning_effort"] = "medium"
    return ChatOpenAI(
        model=OPENAI_MODEL, base_url=f"{URL}/v1", api_key=KEY, streaming=stream,
        use_responses_api=TASK["variant"] == "responses", **more,
    )  # fmt: skip


def text_of(message: Any) -> str:
    text = message.text
    return str(text() if callable(text) and not isinstance(text, str) else text)


def converse(model: Any, content: Any, *, follow: bool) -> list[str]:
    tools = [tool(get_weather), tool(get_time)] if FEATURE in ("tools", "failover") else []
    agent = create_agent(model, tools=tools, system_prompt=SYSTEM)
    state = agent.invoke({"messages": [{"role": "user", "content": content}]})
    texts = [text_of(state["messages"][-1])]
    if follow:
        state = agent.invoke({"messages": [*state["messages"], {"role": "user", "content": FOLLOW_UP}]})
        texts.append(text_of(state["messages"][-1]))
    return texts


def main() -> None:
    if FEATURE == "structured":
        parsed = make_model(stream=False).with_structured_output(Weather).invoke(PROMPT)
        show([], parsed.model_dump())
        return
    content: Any = PROMPT
    if FEATURE == "pictures":
        content = [{"type": "text", "text": PROMPT}, {"type": "image_url", "image_url": {"url": DATA_URL}}]
    texts: list[str] = []
    for stream in {"plain": (False,), "stream": (True,)}.get(FEATURE, (False, True)):
        texts += converse(make_model(stream=stream), content, follow=FEATURE != "pictures")
    show(texts)


main()
