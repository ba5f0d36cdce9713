"""`agentberth completion`: a script that completes commands and options in a shell."""

import argparse
from typing import TYPE_CHECKING

from agentberth.commands import add

if TYPE_CHECKING:
    from agentberth.commands import Commands

SHELLS = ("bash", "zsh", "fish")
_EPILOG = """\
examples:
  source <(agentberth completion bash)                                        this shell; in ~/.bashrc for every one
  agentberth completion zsh > "${fpath[1]}/_agentberth"                       zsh, once compinit runs
  agentberth completion fish > ~/.config/fish/completions/agentberth.fish
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(commands, "completion", summary="print the completion script of a shell", epilog=_EPILOG, call=_call)
    parser.add_argument("shell", choices=SHELLS, help="bash, zsh or fish")


def _call(options: argparse.Namespace) -> int:
    from agentberth.app import parser  # noqa: PLC0415 - the parser has this command too
    from agentberth.completion import script  # noqa: PLC0415 - keeps `--help` quick

    print(script(options.shell, parser()), end="")  # noqa: T201 - the result
    return 0
