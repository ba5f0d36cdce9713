"""A batch processor: each letter goes to the desk that a model names. What is done is not done again."""

import asyncio
import json
import os
from pathlib import Path

from anthropic import AsyncAnthropic

DONE = Path(os.environ["AGENT_WORKSPACE"]) / "sorted.jsonl"
LETTERS = Path(os.environ["LETTERS"])
AT_ONCE = 8


async def sort(letter: str, model: AsyncAnthropic) -> str:
    prompt = f"Which desk is this for? Say the desk alone.\n{letter}"
    answer = await model.messages.create(model="auto", max_tokens=20, messages=[{"role": "user", "content": prompt}])
    return answer.content[0].text


def read_done() -> list[dict[str, str]]:
    return [json.loads(line) for line in DONE.read_text().splitlines()] if DONE.exists() else []


def note(letter: str, desk: str) -> None:
    with DONE.open("a") as out:  # one line, written at once: a kill leaves it whole or not there
        out.write(json.dumps({"letter": letter, "desk": desk}) + "\n")


async def sort_all(letters: list[str]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async with AsyncAnthropic() as model:

        async def handle(letter: str) -> None:
            async with gate:
                desk = await sort(letter, model)
            note(letter, desk)

        await asyncio.gather(*map(handle, letters))


def main() -> None:
    known = {each["letter"] for each in read_done()}
    letters = [letter for letter in LETTERS.read_text().splitlines() if letter not in known]
    asyncio.run(sort_all(letters))
    desks = sorted({each["desk"] for each in read_done()})
    print(f"{len(letters)} letters sorted, {len(known)} had been: {', '.join(desks)}")


if __name__ == "__main__":
    main()
