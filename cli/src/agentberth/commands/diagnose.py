"""`agentberth diagnose`: why an agent is not ready, and what to do."""

import argparse
import json
from typing import TYPE_CHECKING

from agentberth.commands import add
from agentberth.terminal import Terminal, stdout

if TYPE_CHECKING:
    from agentberth.cluster.diagnosis import Diagnosis
    from agentberth.commands import Commands

_EPILOG = """\
Reads through kubectl, with your context and rights. Exit code 0 if the agent is ready, 1 if it is not.

examples:
  agentberth diagnose librarian
  agentberth diagnose librarian --namespace agents --context staging
  agentberth diagnose librarian --output json | jq -r .cure
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(
        commands, "diagnose", summary="show why an agent in a cluster is not ready", epilog=_EPILOG, call=_call
    )
    parser.add_argument("name", metavar="NAME", help="name of the AgentType")
    parser.add_argument("-n", "--namespace", help="default: the context's")
    parser.add_argument("--context", help="kubectl context (default: the current one)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")


def _call(options: argparse.Namespace) -> int:
    from agentberth.cluster.diagnosis import diagnose  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.cluster.kubectl import Kubectl  # noqa: PLC0415 - likewise

    found = diagnose(Kubectl.find(context=options.context, namespace=options.namespace), options.name)
    if options.output == "json":
        stdout().line(json.dumps(found.plain(), indent=2))
    else:
        _show(found, stdout())
    return 0 if found.ready else 1


def _show(found: "Diagnosis", out: Terminal) -> None:
    verdict = out.paint("is ready", "green") if found.ready else out.paint(f"is not ready ({found.reason})", "red")
    out.line(f"{found.name} {verdict}: {found.message}")
    if found.cure and not found.ready:
        out.line(f"{out.paint('  try:', 'yellow')} {found.cure}")
    for title, lines in (("conditions", found.conditions), ("warnings", found.events)):
        if lines:
            out.line(f"\n{title}:")
            for line in lines:
                out.line(f"  {line}")
    for container in found.containers:
        restarts = f", {container.restarts} restarts" if container.restarts else ""
        out.line(f"\ncontainer {container.name} of {container.pod}: {container.state}{restarts}")
        for line in container.log:
            out.line(f"  {out.paint('|', 'dim')} {line}")
