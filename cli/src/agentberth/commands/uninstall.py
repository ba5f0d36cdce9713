"""`agentberth uninstall`: takes the operator out of a cluster, and agents only on request."""

import argparse
from typing import TYPE_CHECKING

from agentberth.commands import add
from agentberth.terminal import stdout

if TYPE_CHECKING:
    from agentberth.commands import Commands

_EPILOG = """\
While agents exist, the command refuses to run without --keep-agents or --delete-agents. Deleting agents deletes what
belongs to them; the claims of memories and workspaces stay, unless their deletionPolicy is `delete`. Secrets and
ConfigMaps that you created always stay.

examples:
  agentberth uninstall --dry-run
  agentberth uninstall --keep-agents      agents keep running, but nothing updates or repairs them
  agentberth uninstall --delete-agents
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(commands, "uninstall", summary="remove Agentberth from a cluster", epilog=_EPILOG, call=_call)
    parser.add_argument("-n", "--namespace", help="namespace of the operator (default: agentberth-system)")
    parser.add_argument("--context", help="kubectl context (default: the current one)")
    fate = parser.add_mutually_exclusive_group()
    fate.add_argument("--keep-agents", action="store_true", help="keep agents and the CRD of AgentType")
    fate.add_argument("--delete-agents", action="store_true", help="delete all agents in the cluster first")
    parser.add_argument("--dry-run", action="store_true", help="print what would be removed, and remove nothing")


def _call(options: argparse.Namespace) -> int:
    from agentberth.cluster.bundle import NAMESPACE  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.cluster.kubectl import Kubectl  # noqa: PLC0415 - likewise
    from agentberth.cluster.removal import uninstall  # noqa: PLC0415 - likewise

    kubectl = Kubectl.find(context=options.context, namespace=None)
    uninstall(
        kubectl,
        options.namespace or NAMESPACE,
        stdout().line,
        delete_agents=options.delete_agents,
        keep_agents=options.keep_agents,
        dry_run=options.dry_run,
    )
    return 0
