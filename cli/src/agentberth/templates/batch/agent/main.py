"""Sorts each line of letters.txt into a pile that a model names; what is sorted already is not asked again."""

import asyncio
import json
import os
from pathlib import Path

from openai import AsyncOpenAI

LETTERS = Path(__file__).parent / "letters.txt"
RESULTS = Path(os.environ["AGENT_WORKSPACE"]) / "sorted.jsonl"
AT_ONCE = 8
TASK = "Answer with one word, the pile for this letter: repairs, bills or thanks."


async def main() -> None:
    done = {json.loads(line)["letter"] for line in RESULTS.read_text().splitlines()} if RESULTS.exists() else set()
    model, slots = AsyncOpenAI(), asyncio.Semaphore(AT_ONCE)

    async def sort(letter: str) -> None:
        async with slots:
            messages = [{"role": "system", "content": TASK}, {"role": "user", "content": letter}]
            answer = await model.chat.completions.create(model="auto", messages=messages)
        pile = answer.choices[0].message.content
        with RESULTS.open("a") as results:
            results.write(json.dumps({"letter": letter, "pile": pile}) + "\n")
        print(f"{pile}: {letter}", flush=True)

    await asyncio.gather(*(sort(letter) for letter in LETTERS.read_text().splitlines() if letter not in done))


asyncio.run(main())
