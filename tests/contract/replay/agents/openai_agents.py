"""The OpenAI Agents SDK, as its readers write an agent; its packages are those of its own environment."""
# mypy: ignore-errors

import asyncio
import sys

from agents import Agent, Runner, function_tool, set_tracing_disabled

set_tracing_disabled(disabled=True)


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: 21 degrees"


async def main() -> None:
    agent = Agent(name="weather", instructions="Be brief.", model="gpt-4.1", tools=[get_weather])
    result = Runner.run_streamed(agent, "How warm is it in Zürich?")
    async for _ in result.stream_events():
        pass
    sys.stdout.write(f"{result.final_output}\n")


asyncio.run(main())
