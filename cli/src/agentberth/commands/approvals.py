"""`agentberth approvals`, `approve` and `deny`: calls of tools that wait for a person."""

import argparse
import json
from typing import TYPE_CHECKING

from agentberth.commands import add
from agentberth.terminal import stdout, visible

if TYPE_CHECKING:
    from agentberth.cluster.approvals import Decision
    from agentberth.cluster.kubectl import Kubectl
    from agentberth.commands import Commands

_LIST_EPILOG = """\
Lists the tool calls that a rule with `action: ask` holds back. Each is a ToolApproval object, read through kubectl.

examples:
  agentberth approvals
  agentberth approvals --all --namespace agents
"""
_APPROVE_EPILOG = """\
Allows exactly the call that is shown, once; a call with other arguments needs another approval. You need the right to
patch toolapprovals, which the ClusterRole agentberth-approve includes.

examples:
  agentberth approve librarian-0f3a9c1d22e4b567
  agentberth approve librarian-0f3a9c1d22e4b567 --note "checked with finance" --namespace agents
"""
_DENY_EPILOG = """\
Refuses the call, and tells the agent not to try it again.

examples:
  agentberth deny librarian-0f3a9c1d22e4b567 --note "wrong branch"
"""


def register(commands: "Commands") -> None:
    """Adds the three commands."""
    listing = add(
        commands, "approvals", summary="list tool calls that wait for approval", epilog=_LIST_EPILOG, call=_list
    )
    listing.add_argument("--all", action="store_true", help="include decided and expired calls")
    listing.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    approve = add(commands, "approve", summary="approve a waiting tool call", epilog=_APPROVE_EPILOG, call=_approve)
    deny = add(commands, "deny", summary="deny a waiting tool call", epilog=_DENY_EPILOG, call=_deny)
    for parser in (approve, deny):
        parser.add_argument("name", metavar="NAME", help="name of the request, from `agentberth approvals`")
        parser.add_argument("--note", default="", help="reason, which is stored with the decision")
    for parser in (listing, approve, deny):
        parser.add_argument("-n", "--namespace", help="default: the context's")
        parser.add_argument("--context", help="kubectl context (default: the current one)")


def _kubectl(options: argparse.Namespace) -> "Kubectl":
    from agentberth.cluster.kubectl import Kubectl  # noqa: PLC0415 - keeps `--help` quick

    return Kubectl.find(context=options.context, namespace=options.namespace)


def _list(options: argparse.Namespace) -> int:
    from agentberth.cluster.approvals import is_open, state_of  # noqa: PLC0415 - keeps `--help` quick

    found = _kubectl(options).select("toolapprovals")
    shown = [each for each in found if options.all or is_open(each)]
    shown.sort(key=lambda each: str(each["spec"].get("askedAt", "")))
    out = stdout()
    if options.output == "json":
        out.line(json.dumps(shown, indent=2))
        return 0
    for each in shown:
        spec = each["spec"]
        out.line(f"{each['metadata']['name']}  {out.paint(state_of(each), 'yellow')}  until {spec['expiresAt']}")
        reason = f": {spec['reason']}" if spec.get("reason") else ""
        out.line(visible(f"  {spec['agent']} calls {spec['tool']}{reason}"))
        out.line(f"  {visible(spec['arguments'])}")
        if "..." in spec["arguments"]:
            out.line("  the arguments may be longer than what is shown: each ... is a cut")
    if not shown:
        out.line("no call waits for a person")
    return 0


def _approve(options: argparse.Namespace) -> int:
    return _decide(options, "Approve")


def _deny(options: argparse.Namespace) -> int:
    return _decide(options, "Deny")


def _decide(options: argparse.Namespace, decision: "Decision") -> int:
    from agentberth.cluster.approvals import decide  # noqa: PLC0415 - keeps `--help` quick

    spec = decide(_kubectl(options), options.name, decision, options.note)
    done = {"Approve": "approved", "Deny": "denied"}[decision]
    stdout().line(visible(f"{done}: {spec['tool']} of {spec['agent']}"))
    return 0
