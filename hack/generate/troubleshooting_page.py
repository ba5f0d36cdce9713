"""docs/troubleshooting.md: an entry for each condition, reason and fault.

The states of the conditions are the rows of the AgentType page; causes and cures are those of the tables in agent_api,
which `agentberth diagnose` prints too.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from hack.generate.marked import fill

from agent_api.agenttype import ConditionType, Reason
from agent_api.initreport import InitFault

PAGE = Path("docs/troubleshooting.md")
SOURCE = Path("docs/spec/agenttype.md")
Rows = dict[str, list[str]]


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """The page, with every entry anew."""
    rows = _rows((root / SOURCE).read_text(encoding="utf-8"))
    blocks = {
        "conditions": lambda: "\n\n".join(_condition(kind, rows[kind]) for kind in ConditionType),
        "reasons": lambda: "\n\n".join(map(_reason, sorted(Reason))),
        "faults": lambda: "\n\n".join(_entry(f"### {fault}", fault.cause, fault.cure) for fault in sorted(InitFault)),
    }
    yield PAGE, fill(PAGE, (root / PAGE).read_text(encoding="utf-8"), blocks)


def _rows(text: str) -> Rows:
    """The states of each condition, from the table of the page."""
    found: Rows = {}
    part = ""
    for line in text.splitlines():
        part = line if line.startswith("## ") else part
        if part == "## Conditions" and line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
            found[name.strip("`")] = [_moved(cell) for cell in cells]
    return found


def _moved(cell: str) -> str:
    """A link of docs/spec as one of docs."""
    return re.sub(r"\]\(\.\./", "](", cell)


def _condition(kind: str, cells: list[str]) -> str:
    states = zip(("True", "False", "Unknown"), cells, strict=True)
    return f"### Condition {kind}\n\n" + "\n".join(f"- **{state}**: {text}" for state, text in states if text)


def _reason(reason: Reason) -> str:
    return _entry(f"### {reason}\n\nOf {', '.join(reason.conditions)}.", reason.cause, reason.cure)


def _entry(head: str, cause: str, cure: str) -> str:
    return f"{head}\n\n- **Cause**: {cause}\n- **Cure**: {cure}"
