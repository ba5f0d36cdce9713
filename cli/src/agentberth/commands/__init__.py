"""One module per command: `register` adds its parser, which calls the command with the parsed options."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse names no public type


def add(
    commands: "Commands", name: str, *, summary: str, epilog: str, call: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """A subcommand with its help and examples."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(call=call)
    return parser
