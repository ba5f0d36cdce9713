"""`agentberth crd`: the CustomResourceDefinition, for kubectl and for deploy/base."""

import argparse
from typing import TYPE_CHECKING

from agentberth.commands import add
from agentberth.yamlout import dump

if TYPE_CHECKING:
    from agentberth.commands import Commands

_EPILOG = """\
examples:
  agentberth crd | kubectl apply --server-side -f -
  agentberth crd > deploy/base/crds/agenttype.yaml
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    add(commands, "crd", summary="print the CustomResourceDefinition of AgentType", epilog=_EPILOG, call=_call)


def _call(options: argparse.Namespace) -> int:
    del options
    from agent_api.crd import crd  # noqa: PLC0415 - only this command needs it

    print(dump([crd()]), end="")  # noqa: T201 - the result
    return 0
