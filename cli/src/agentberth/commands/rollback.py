"""`agentberth rollback`: an agent's spec as it was when it last worked."""

import argparse
import json
from typing import TYPE_CHECKING

from agentberth.commands import add
from agentberth.errors import CommandError
from agentberth.terminal import stdout, visible

if TYPE_CHECKING:
    from agentberth.cluster.rollback import History, Revision
    from agentberth.commands import Commands

_EPILOG = """\
The operator keeps the last ten specs with which an agent was ready. Without --to, the newest one that differs from the
present spec is applied again; `replicas` and `suspend` stay as they are. Reads and writes through kubectl, with the
right to update agenttypes.

examples:
  agentberth rollback librarian
  agentberth rollback librarian --list
  agentberth rollback librarian --to 3 --dry-run
  agentberth rollback librarian --to 3 --namespace agents
"""
_SHOWN = 5


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(
        commands, "rollback", summary="return an agent to a spec with which it worked", epilog=_EPILOG, call=_call
    )
    parser.add_argument("name", metavar="NAME", help="name of the AgentType")
    parser.add_argument("--to", metavar="REVISION", type=int, help="number of a revision, as --list shows it")
    parser.add_argument("--list", action="store_true", help="list the revisions and change nothing")
    parser.add_argument("--dry-run", action="store_true", help="let the server judge the change, and change nothing")
    parser.add_argument("-n", "--namespace", help="default: the context's")
    parser.add_argument("--context", help="kubectl context (default: the current one)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="of --list (default: text)")


def _call(options: argparse.Namespace) -> int:
    from agentberth.cluster.kubectl import Kubectl  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.cluster.rollback import read_history, return_to  # noqa: PLC0415 - likewise

    kubectl = Kubectl.find(context=options.context, namespace=options.namespace)
    history = read_history(kubectl, options.name)
    if options.list:
        return _list(history, as_json=options.output == "json")
    revision = history.choose(options.to)
    changed = history.differences(revision)
    out = stdout()
    if not changed:
        out.line(f"{options.name} is at revision {revision.number} already")
        return 0
    if history.agent["metadata"].get("deletionTimestamp"):
        raise CommandError(f"{options.name} is being deleted")
    return_to(kubectl, history, revision, dry_run=options.dry_run)
    done = "would return" if options.dry_run else "returned"
    out.line(f"{options.name} {done} to revision {revision.number}: {_paths(changed)}")
    if program := history.synced_by():
        out.line(f"{program} applies this AgentType: make the same change where it reads, or its next sync undoes this")
    return 0


def _list(history: "History", *, as_json: bool) -> int:
    out = stdout()
    if as_json:
        shown = [
            {"revision": each.number, "keptAt": each.kept_at, "differs": history.differences(each), "spec": each.spec}
            for each in history.revisions
        ]
        out.line(json.dumps(shown, indent=2))
        return 0
    for each in history.revisions:
        out.line(f"{each.number:>4}  {each.kept_at}  {_describe(history, each)}")
    if not history.revisions:
        out.line("no revision yet: a spec is kept once the agent was ready with it")
    return 0


def _describe(history: "History", revision: "Revision") -> str:
    changed = history.differences(revision)
    return f"differs in {_paths(changed)}" if changed else "the present spec"


def _paths(changed: list[str]) -> str:
    rest = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return visible(", ".join(changed[:_SHOWN])) + rest
