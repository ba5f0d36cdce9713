"""`agentberth check`: what a cluster lacks for agents to run in it."""

import argparse
import json
from typing import TYPE_CHECKING, Final

from agentberth.commands import add
from agentberth.terminal import stdout

if TYPE_CHECKING:
    from agentberth.commands import Commands
    from agentberth.preflight.finding import Finding

_EPILOG = """\
Checks the cluster, the installation, your rights and the operator's, network policies, DNS, storage, and the objects
to which the agents of one namespace refer. Reads through kubectl, with your context and rights, and changes nothing.
With --probe it also creates two Pods and two NetworkPolicies in that namespace, and deletes them again: they show
whether the platform's images can be pulled and whether the cluster enforces NetworkPolicies.

Exit code 0 if agents can run, 1 if there is an error; with --strict, warnings count as errors.

examples:
  agentberth check
  agentberth check --namespace agents --context staging
  agentberth check --probe --namespace agents
  agentberth check --strict --output json | jq -r '.findings[] | select(.level == "error") | .cure'
"""
_COLOURS: Final = {"ok": "green", "warning": "yellow", "error": "red", "skipped": "dim"}
_WIDTH: Final = 9


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(commands, "check", summary="check what a cluster lacks to run agents", epilog=_EPILOG, call=_call)
    parser.add_argument("-n", "--namespace", help="namespace of the agents (default: the context's)")
    parser.add_argument("--context", help="kubectl context (default: the current one)")
    parser.add_argument("--probe", action="store_true", help="start two Pods that try images and NetworkPolicies")
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")


def _call(options: argparse.Namespace) -> int:
    from agentberth.cluster.kubectl import Kubectl  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.preflight.survey import survey  # noqa: PLC0415 - likewise

    found: list[Finding] = []
    for finding in survey(Kubectl.find(context=options.context, namespace=options.namespace), probed=options.probe):
        found.append(finding)
        if options.output == "text":
            _show(finding)
    failing = {"error", "warning"} if options.strict else {"error"}
    is_ok = not any(finding.level in failing for finding in found)
    if options.output == "json":
        stdout().line(json.dumps({"ok": is_ok, "findings": [one.plain() for one in found]}, indent=2))
    return 0 if is_ok else 1


def _show(finding: "Finding") -> None:
    out = stdout()
    level = out.paint(f"{finding.level:<{_WIDTH}}", _COLOURS[finding.level])
    cure = f" {out.paint('-> ' + finding.cure, 'dim')}" if finding.cure else ""
    out.line(f"{level}{finding.check}: {finding.message}{cure}")
