"""`agentberth tools`: what an agent's tools are held to, what changed, and the approval of a change."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentberth.commands import add
from agentberth.errors import CommandError
from agentberth.terminal import stdout, visible

if TYPE_CHECKING:
    from agentberth.cluster.kubectl import Kubectl
    from agentberth.commands import Commands

_EPILOG = """\
A tool that changes after it was first seen is blocked until someone approves what it became. Reads through kubectl.
Exit code 0 when it was done; `diff` exits with 1 when there is something to approve.
`approve --from` holds an agent to what `agentberth run` has seen: one without pins is given them, for others what
differs is approved. `lock --from` prints the same pins as a ConfigMap to apply with the agent, and asks no cluster.

examples:
  agentberth tools list librarian
  agentberth tools diff librarian
  agentberth tools approve librarian docs__search
  agentberth tools approve librarian --all --namespace agents
  agentberth tools approve librarian --from agentberth.lock
  agentberth tools lock librarian --from agentberth.lock > librarian-lock.yaml
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(
        commands, "tools", summary="list an agent's tools, show and approve what changed", epilog=_EPILOG, call=_call
    )
    parser.add_argument("action", choices=("list", "diff", "approve", "lock"), help="what to do")
    parser.add_argument("name", metavar="NAME", help="name of the AgentType")
    parser.add_argument("tool", metavar="TOOL", nargs="?", help="name of the tool in status.toolStatus")
    parser.add_argument("--all", action="store_true", help="approve every change")
    parser.add_argument(
        "--from",
        dest="lock_file",
        type=Path,
        metavar="FILE",
        help="of approve and lock: pins, as `agentberth run` keeps them",
    )
    parser.add_argument("-n", "--namespace", help="default: the context's")
    parser.add_argument("--context", help="kubectl context (default: the current one)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")


def _call(options: argparse.Namespace) -> int:
    if options.lock_file is not None or options.action == "lock":
        return _bring_lock(options)
    return _ask_cluster(options)


def _bring_lock(options: argparse.Namespace) -> int:
    """Pins of a laptop's runs, printed as an object or brought into the cluster."""
    from agentberth.cluster.kubectl import Kubectl  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.cluster.toolpins import lock_manifest, take_over  # noqa: PLC0415 - likewise
    from agentberth.local.toolslock import read_lock  # noqa: PLC0415 - likewise
    from agentberth.yamlout import dump  # noqa: PLC0415 - likewise

    path = options.lock_file
    if options.action not in ("approve", "lock") or path is None or options.tool is not None or options.all:
        raise CommandError(
            "--from FILE brings all pins of one agent: it goes with approve and lock, without TOOL and --all",
            cure=f"agentberth tools lock {options.name} --from agentberth.lock",
        )
    lock = read_lock(path, options.name)
    if lock is None:
        raise CommandError(
            f"{path} has no pins of {options.name}", cure="agentberth run writes them beside the agent's manifest"
        )
    out = stdout()
    if options.action == "lock":
        out.line(dump([lock_manifest(options.name, lock)]).rstrip())
        return 0
    kubectl = Kubectl.find(context=options.context, namespace=options.namespace)
    approved = take_over(kubectl, options.name, lock)
    if approved is None:
        out.line(f"{options.name} is held to {path}: {len(lock.tools)} installs, {len(lock.definitions)} definitions")
    elif not approved:
        out.line(f"{options.name} is held to the same pins already")
    for name, digest in sorted((approved or {}).items()):
        out.line(f"approved {name} as {digest}")
    return 0


def _ask_cluster(options: argparse.Namespace) -> int:
    from agentberth.cluster.kubectl import Kubectl  # noqa: PLC0415 - keeps `--help` quick

    kubectl = Kubectl.find(context=options.context, namespace=options.namespace)
    status = kubectl.get("agenttype", options.name).get("status") or {}
    tools: dict[str, Any] = status.get("toolStatus") or {}
    if options.tool is not None and options.tool not in tools:
        raise CommandError(
            f"{options.name} reports no tool {options.tool}", cure=f"agentberth tools list {options.name} shows them"
        )
    chosen = {name: each for name, each in tools.items() if options.tool in (None, name)}
    if options.action == "list":
        return _list(chosen, as_json=options.output == "json")
    changed = {name: each for name, each in chosen.items() if each.get("definitionHash")}
    if options.action == "diff":
        return _diff(changed, as_json=options.output == "json")
    return _approve(kubectl, options, changed)


def _list(tools: dict[str, Any], *, as_json: bool) -> int:
    out = stdout()
    if as_json:
        out.line(json.dumps(tools, indent=2))
        return 0
    for name, tool in sorted(tools.items()):
        colour = {"ready": "green", "blocked": "red", "failed": "red"}.get(tool["state"], "yellow")
        rest = tool.get("error") or " ".join(filter(None, (tool.get("version"), tool.get("source"))))
        out.line(f"{visible(name)}  {out.paint(tool['state'], colour)}  {visible(rest)}".rstrip())
    return 0


def _diff(changed: dict[str, Any], *, as_json: bool) -> int:
    out = stdout()
    if as_json:
        out.line(json.dumps(changed, indent=2))
    elif not changed:
        out.line("no tool has changed")
    else:
        for name, tool in sorted(changed.items()):
            out.line(visible(f"{name}: {tool.get('error', '')}"))
            for line in tool.get("diff", "").splitlines():
                colour = {"+": "green", "-": "red"}.get(line[:1], "dim")
                out.line(f"  {out.paint(visible(line), colour)}")
    return 1 if changed else 0


def _approve(kubectl: "Kubectl", options: argparse.Namespace, changed: dict[str, Any]) -> int:
    if options.tool is None and not options.all:
        raise CommandError("name the tool to approve, or give --all", cure=f"agentberth tools diff {options.name}")
    if not changed:
        raise CommandError("there is nothing to approve: no such tool is blocked for a change")
    approved = {name: each["definitionHash"] for name, each in changed.items()}
    kubectl.patch("agenttype", options.name, {"spec": {"tools": {"policy": {"approved": approved}}}})
    for name, digest in sorted(approved.items()):
        stdout().line(visible(f"approved {name} as {digest}"))
    return 0
