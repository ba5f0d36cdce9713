"""A harbour pilot: asks a model, seals the answer with a tool, and remembers how often it was asked."""

import asyncio
import os
import time
from pathlib import Path

import redis
from mcp import Client
from openai import OpenAI


def ask(question: str) -> tuple[str, str]:
    """The answer, and the provider that gave it."""
    raw = OpenAI().chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": question}]
    )
    return raw.parse().choices[0].message.content or "", raw.headers["x-agentberth-provider"]


async def seal(file: Path) -> str:
    """What git calls the file's content; the tool runs in the sidecar, on the shared workspace."""
    async with Client(os.environ["MCP_SERVER_URL"]) as tools:
        done = await tools.call_tool("git", {"args": ["hash-object", file.name]})
        return done.content[0].text.strip()


def work() -> None:
    answer, provider = ask("When can we leave the harbour?")
    note = Path(os.environ["AGENT_WORKSPACE"]) / "answer.txt"
    note.write_text(f"{answer}\n")
    print(f"{provider}: {answer}")
    print(f"sealed as {asyncio.run(seal(note))}")
    print(f"asked {redis.Redis.from_url(os.environ['REDIS_URL']).incr('asked')} times since the start")


def main() -> None:
    work()
    while interval_s := float(os.environ.get("ASK_EVERY_S", "0")):
        time.sleep(interval_s)
        work()


main()
