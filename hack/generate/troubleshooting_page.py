"""docs/troubleshooting.md: an entry for each condition, reason and fault.

The causes are the rows of the AgentType page; the cures are those that `agentberth diagnose` prints, so that page and
program say the same.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from hack.generate.marked import fill

from agent_api.agenttype import ConditionType, Reason
from agent_api.initreport import InitFault
from agentberth.cluster.cures import cure_of

PAGE = Path("docs/troubleshooting.md")
SOURCE = Path("docs/spec/agenttype.md")
Rows = dict[str, list[str]]


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """The page, with every entry anew."""
    rows = _rows((root / SOURCE).read_text(encoding="utf-8"))
    blocks = {
        "conditions": lambda: "\n\n".join(_condition(kind, rows[kind]) for kind in ConditionType),
        "reasons": lambda: "\n\n".join(_reason(reason, rows[f"{reason}:"]) for reason in sorted(Reason)),
        "faults": lambda: "\n\n".join(_fault(fault, rows[fault]) for fault in sorted(InitFault)),
    }
    yield PAGE, fill(PAGE, (root / PAGE).read_text(encoding="utf-8"), blocks)


def _rows(text: str) -> Rows:
    """The rows of the tables of the page by their first cell; reasons, which have four cells, as `NAME:`."""
    found: Rows = {}
    part = ""
    for line in text.splitlines():
        part = line if line.startswith("## ") else part
        if part in {"## Conditions", "## Reasons", "## Faults of the preparation"} and line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
            found[name.strip("`") + (":" if part == "## Reasons" else "")] = [_moved(cell) for cell in cells]
    return found


def _moved(cell: str) -> str:
    """A link of docs/spec as one of docs."""
    return re.sub(r"\]\(\.\./", "](", cell)


def _condition(kind: str, cells: list[str]) -> str:
    states = zip(("True", "False", "Unknown"), cells, strict=True)
    return f"### Condition {kind}\n\n" + "\n".join(f"- **{state}**: {text}" for state, text in states if text)


def _reason(reason: str, cells: list[str]) -> str:
    of, cause, advice = cells
    cure = cure_of(reason)
    return _entry(f"### {reason}\n\nOf {of}.", cause, f"{cure[0].upper()}{cure[1:]}." if cure else advice)


def _fault(fault: str, cells: list[str]) -> str:
    return _entry(f"### {fault}", *cells)


def _entry(head: str, cause: str, cure: str) -> str:
    return f"{head}\n\n- **Cause**: {cause}\n- **Cure**: {cure}"
