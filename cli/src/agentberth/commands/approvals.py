"""`agentberth approvals`, `approve` and `deny`: calls of tools that wait for a person."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from agentberth.commands import add
from agentberth.errors import CommandError
from agentberth.terminal import stdout

if TYPE_CHECKING:
    from agentberth.cluster.kubectl import Kubectl
    from agentberth.commands import Commands

_LIST_EPILOG = """\
Calls that a rule with `action: ask` holds back. Each is a ToolApproval object, read through kubectl.

examples:
  agentberth approvals
  agentberth approvals --all --namespace agents
"""
_APPROVE_EPILOG = """\
The very call that is shown may then be carried out, once. Other arguments are another call. It needs the right to
patch toolapprovals, as ClusterRole agentberth-approve gives it.

examples:
  agentberth approve librarian-0f3a9c1d22e4b567
  agentberth approve librarian-0f3a9c1d22e4b567 --note "checked with finance" --namespace agents
"""
_DENY_EPILOG = """\
The call is refused, and the agent is told not to try it again.

examples:
  agentberth deny librarian-0f3a9c1d22e4b567 --note "wrong branch"
"""
_LONGEST_NOTE = 500


def register(commands: "Commands") -> None:
    """Adds the three commands."""
    listing = add(
        commands, "approvals", summary="list calls of tools that wait for a person", epilog=_LIST_EPILOG, call=_list
    )
    listing.add_argument("--all", action="store_true", help="also those that were decided or have expired")
    listing.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    approve = add(
        commands, "approve", summary="let a waiting call be carried out, once", epilog=_APPROVE_EPILOG, call=_approve
    )
    deny = add(commands, "deny", summary="refuse a waiting call", epilog=_DENY_EPILOG, call=_deny)
    for parser in (approve, deny):
        parser.add_argument("name", metavar="NAME", help="as `agentberth approvals` shows it")
        parser.add_argument("--note", default="", help="why; it is kept with the decision")
    for parser in (listing, approve, deny):
        parser.add_argument("-n", "--namespace", help="default: the context's")
        parser.add_argument("--context", help="kubectl context (default: the current one)")


def _kubectl(options: argparse.Namespace) -> "Kubectl":
    from agentberth.cluster.kubectl import Kubectl  # noqa: PLC0415 - keeps `--help` quick

    return Kubectl.find(context=options.context, namespace=options.namespace)


def _list(options: argparse.Namespace) -> int:
    found = _kubectl(options).select("toolapprovals")
    shown = [each for each in found if options.all or _is_open(each)]
    shown.sort(key=lambda each: str(each["spec"].get("askedAt", "")))
    out = stdout()
    if options.output == "json":
        out.line(json.dumps(shown, indent=2))
        return 0
    for each in shown:
        spec = each["spec"]
        out.line(f"{each['metadata']['name']}  {out.paint(_state(each), 'yellow')}  until {spec['expiresAt']}")
        out.line(f"  {spec['agent']} calls {spec['tool']}" + (f": {spec['reason']}" if spec.get("reason") else ""))
        out.line(f"  {_printable(spec['arguments'])}")
        if spec["arguments"].endswith("..."):
            out.line("  the arguments are longer than what is shown")
    if not shown:
        out.line("no call waits for a person")
    return 0


def _approve(options: argparse.Namespace) -> int:
    return _decide(options, "Approve")


def _deny(options: argparse.Namespace) -> int:
    return _decide(options, "Deny")


def _decide(options: argparse.Namespace, decision: str) -> int:
    if len(options.note) > _LONGEST_NOTE:
        raise CommandError(f"--note takes {_LONGEST_NOTE} characters")
    kubectl = _kubectl(options)
    found = kubectl.get("toolapproval", options.name)
    if not _is_open(found):
        raise CommandError(
            f"{options.name} does not wait any more: it is {_state(found).lower()}", cure="agentberth approvals"
        )
    change: dict[str, Any] = {"decision": decision} | ({"note": options.note} if options.note else {})
    kubectl.patch("toolapproval", options.name, {"spec": change})
    done = {"Approve": "approved", "Deny": "denied"}[decision]
    stdout().line(f"{done}: {found['spec']['tool']} of {found['spec']['agent']}")
    return 0


def _is_open(approval: dict[str, Any]) -> bool:
    return not approval["spec"].get("decision") and not (approval.get("status") or {}).get("state")


def _state(approval: dict[str, Any]) -> str:
    state = (approval.get("status") or {}).get("state") or approval["spec"].get("decision")
    return str(state or "Waiting")


def _printable(text: str) -> str:
    """Without what a terminal would act on: the arguments are the agent's."""
    return "".join(each if each.isprintable() else "?" for each in text)
