"""docs/reference/mcp-matrix.md: which clients were tried on which servers, from the recorded results."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hack.generate.marked import fill

PAGE = Path("docs/reference/mcp-matrix.md")
RESULTS = Path("tests/contract/toolproxy/matrix/results.json")
WORKS = "works"


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """The page, with every generated part anew."""
    found = json.loads((root / RESULTS).read_text(encoding="utf-8"))
    blocks = {"matrix": partial(_matrix, found), "servers": partial(_servers, found)}
    yield PAGE, fill(PAGE, (root / PAGE).read_text(encoding="utf-8"), blocks)


def _matrix(found: Mapping[str, Any]) -> str:
    """One row for each client; what did not work is a number, explained below the table."""
    reasons: list[str] = []
    lines = [f"| Client | Release | {' | '.join(found['servers'])} |", "|---" * (2 + len(found["servers"])) + "|"]
    for client in found["clients"].values():
        cells = [_cell(client["cells"][server], reasons) for server in found["servers"]]
        lines.append(f"| {client['title']} | `{client['release']}` | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))]).rstrip()


def _cell(verdict: str, reasons: list[str]) -> str:
    if verdict == WORKS:
        return WORKS
    if verdict not in reasons:
        reasons.append(verdict)
    return f"see {reasons.index(verdict) + 1}"


def _servers(found: Mapping[str, Any]) -> str:
    lines = ["| Server | Source | Tool that is called |", "|---|---|---|"]
    lines += [f"| {name} | `{each['source']}` | `{each['tool']}` |" for name, each in found["servers"].items()]
    return "\n".join(lines)
