"""`agentberth crd`: the CustomResourceDefinitions, for kubectl and for deploy/base."""

import argparse
from typing import TYPE_CHECKING

from agentberth.commands import add
from agentberth.yamlout import dump

if TYPE_CHECKING:
    from agentberth.commands import Commands

_EPILOG = """\
examples:
  agentberth crd | kubectl apply --server-side -f -
  agentberth crd > definitions.yaml
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    add(
        commands,
        "crd",
        summary="print the definitions of AgentType and ToolApproval",
        epilog=_EPILOG,
        call=_call,
    )


def _call(options: argparse.Namespace) -> int:
    del options
    from agent_api.crd import crd, toolapproval_crd  # noqa: PLC0415 - only this command needs it

    print(dump([crd(), toolapproval_crd()]), end="")  # noqa: T201 - the result
    return 0
