"""docs/reference/cli.md: commands, arguments and examples, from the parser that reads them."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from hack.generate.marked import Blocks, fill

from agentberth.app import parser

PAGE = Path("docs/reference/cli.md")


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """The page, with its commands anew."""
    yield PAGE, fill(PAGE, (root / PAGE).read_text(encoding="utf-8"), BLOCKS)


def _commands() -> str:
    # There is no public way to a parser's arguments; its help text differs between versions of Python.
    (group,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001
    return "\n\n".join(_command(name, inner) for name, inner in group.choices.items())


def _command(name: str, command: argparse.ArgumentParser) -> str:
    shown = (a for a in command._actions if a.dest != "help" and a.help != argparse.SUPPRESS)  # noqa: SLF001 - see above
    rows = [_row(action) for action in shown]
    table = ["| Argument | Meaning |", "|---|---|", *rows, ""] if rows else []
    lines = [f"## {name}", "", str(command.description), "", *table, "```text", str(command.epilog).strip(), "```"]
    return "\n".join(lines)


def _row(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else "|".join(action.choices or ())
    value = value or (action.dest.upper() if action.nargs != 0 else "")
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    more = " ..." if action.nargs == "+" else ""
    text = f"{names} `{value}`" if names and value else names or f"`{value}{more}`"
    return f"| {text.replace('|', chr(92) + '|')} | {action.help} |"


BLOCKS: Blocks = MappingProxyType({"commands": _commands})
