"""A librarian: finds the note that fits each question best, and writes the answers to the workspace."""

import logging
import os
from pathlib import Path

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


def main() -> None:
    shelf = read_shelf(HERE / "shelf")
    questions = (HERE / "questions.txt").read_text().splitlines()
    log.info("%d notes on the shelf, %d questions", len(shelf), len(questions))

    table = Table("Question", "Answer", "Fit", title=os.environ["LIBRARY_NAME"])
    for question in questions:
        title, score = answer(question, shelf)
        table.add_row(question, shelf[title], f"{score:.0f} %")
    Console().print(table)

    answers = Path(os.environ["AGENT_WORKSPACE"]) / "answers.md"
    answers.write_text("".join(f"- {q} {shelf[answer(q, shelf)[0]]}\n" for q in questions))
    log.info("answers written to %s", answers)


if __name__ == "__main__":
    main()
