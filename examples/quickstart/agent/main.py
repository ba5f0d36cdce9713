"""A librarian: finds the note that fits each question best, has a tool seal the answers and a model sum them up."""

import asyncio
import gc
import logging
import os
from pathlib import Path

from mcp import Client
from openai import OpenAI
from rapidfuzz import fuzz, process
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
log = logging.getLogger("librarian")


def read_shelf(folder: Path) -> dict[str, str]:
    """Title to text of every note."""
    notes = (file.read_text().split("\n", 1) for file in sorted(folder.glob("*.md")))
    return {title.removeprefix("# "): text.strip() for title, text in notes}


def answer(question: str, shelf: dict[str, str]) -> tuple[str, float]:
    """The title that fits, and how well: 0 to 100."""
    texts = {title: f"{title} {text}" for title, text in shelf.items()}
    _, score, title = process.extractOne(question, texts, scorer=fuzz.token_set_ratio)
    return title, score


async def seal(file: Path) -> str:
    """The file's name among all files there ever were, by a tool of the platform: git's hash of it."""
    async with Client(os.environ["MCP_SERVER_URL"]) as tools:
        sealed = await tools.call_tool("git", {"args": ["hash-object", file.name]})
    return sealed.content[0].text.strip()


def sum_up(answers: str) -> tuple[str, str]:
    """One sentence for the visitor, and who said it. The address and the key are the gateway's affair."""
    raw = OpenAI().chat.completions.with_raw_response.create(
        model="auto",
        messages=[{"role": "user", "content": f"Sum up in one sentence:\n{answers}"}],
    )
    return raw.parse().choices[0].message.content, raw.headers["x-agentberth-provider"]


def main() -> None:
    gc.freeze()  # the packages stay until the end: the collector need not look at them again, nor at the end
    shelf = read_shelf(HERE / "shelf")
    questions = (HERE / "questions.txt").read_text().splitlines()
    log.info("%d notes on the shelf, %d questions", len(shelf), len(questions))

    table = Table("Question", "Answer", "Fit", title=os.environ["LIBRARY_NAME"])
    answers = ""
    for question in questions:
        title, score = answer(question, shelf)
        table.add_row(question, shelf[title], f"{score:.0f} %")
        answers += f"- {question} {shelf[title]}\n"
    Console().print(table)

    file = Path(os.environ["AGENT_WORKSPACE"]) / "answers.md"
    file.write_text(answers)
    log.info("answers written to %s", file)
    print(f"Sealed by git, over MCP: {asyncio.run(seal(file))}")

    summary, provider = sum_up(answers)
    print(f"In short: {summary} (says the model of {provider})")


if __name__ == "__main__":
    main()
