"""The command line: one subcommand per thing to do, one message per thing that goes wrong."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from . import bootstrap, lifecycle
from .build import find_programs
from .components import node
from .errors import ClusterError, NotUpError, UsageError
from .home import Home, find_home
from .loading import load_archive
from .options import DEFAULT_API_QPS, DEFAULT_VOLUMES, UpOptions, wanted_programs
from .supervision import SupervisorClient, is_up

EXIT_DOWN = 3
Command = Callable[[argparse.Namespace], int]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse has no public name for it


def main(arguments: Sequence[str]) -> int:
    """Runs one command; returns the exit code: 0, 1 after an error, 3 when `status` finds no cluster."""
    options = make_parser().parse_args(arguments)
    command: Command = options.command
    try:
        return command(options)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets `command`."""
    parser = argparse.ArgumentParser(prog="cluster", description="A Kubernetes cluster of this machine's own.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_up(commands)
    down = _add(commands, "down", _run_down, "end the cluster and clear its home")
    down.add_argument("--purge", action="store_true", help="remove the images that were loaded, too")
    status = _add(commands, "status", _run_status, f"say what runs; exit code {EXIT_DOWN} when nothing does")
    status.add_argument("--json", action="store_true", help="as one JSON document")
    load = _add(commands, "load", _run_load, "load image archives into the node")
    load.add_argument("archives", nargs="+", type=Path, metavar="IMAGE.tar")
    tag = _add(commands, "tag", _run_tag, "give a loaded image one more name")
    tag.add_argument("source")
    tag.add_argument("target", help="such as docker.io/library/nginx:1.27 for a manifest's nginx:1.27")
    logs = _add(commands, "logs", _run_logs, "print a component's log")
    logs.add_argument("component")
    logs.add_argument("-f", "--follow", action="store_true")
    _add(commands, "kubeconfig", _run_kubeconfig, "print the path of the administrator's kubeconfig")
    _add_component_commands(commands)
    _add_build(commands)
    _add(commands, "bootstrap", _run_bootstrap, "install what a node needs of the host (root, Debian)")
    return parser


def _add(commands: Commands, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--home", metavar="DIR", help="the cluster's folder")
    parser.set_defaults(command=command)
    return parser


def _add_up(commands: Commands) -> None:
    up = _add(commands, "up", _run_up, "start a cluster; programs are built when they are not there yet")
    up.add_argument("--control-plane", action="store_true", help="API server and controllers alone: no root")
    qps_help = f"requests per second of controllers and scheduler, burst twice that (default {DEFAULT_API_QPS})"
    up.add_argument("--api-qps", type=_positive, default=DEFAULT_API_QPS, metavar="N", help=qps_help)
    up.add_argument("--kwok", type=_count, default=0, metavar="N", help="N fake nodes whose Pods run nothing")
    up.add_argument("--volumes", type=_count, default=DEFAULT_VOLUMES, metavar="N", help="8 GiB volumes of a node")
    up.add_argument("--owner-pid", type=int, metavar="PID", help="end the cluster when this process ends")


def _add_component_commands(commands: Commands) -> None:
    for name, text in (
        ("restart", "end a component and start it again on the same port"),
        ("stop", "end one component; the others stay"),
    ):
        parser = _add(commands, name, _run_restart if name == "restart" else _run_stop, text)
        parser.add_argument("component")
        parser.add_argument("--signal", type=_signal, default=signal.SIGTERM, help="TERM (default), KILL ...")
    send = _add(commands, "signal", _run_signal, "signal a component: STOP freezes it, CONT wakes it")
    send.add_argument("signal", type=_signal)
    send.add_argument("component")
    _add(commands, "start", _run_start, "start a stopped component").add_argument("component")


def _add_build(commands: Commands) -> None:
    build = _add(commands, "build", _run_build, "build the programs without starting anything; print their folder")
    build.add_argument("--control-plane", action="store_true", help="only what the control plane needs")
    build.add_argument("--kwok", action="store_true", help="kwok, too")


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _positive(text: str) -> int:
    number = _count(text)
    if not number:
        raise argparse.ArgumentTypeError("must be positive")
    return number


def _signal(text: str) -> signal.Signals:
    try:
        return signal.Signals[f"SIG{text.upper().removeprefix('SIG')}"]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text} is not the name of a signal") from None


def _home(options: argparse.Namespace) -> Home:
    return find_home(options.home)


def _run_up(options: argparse.Namespace) -> int:
    home = _home(options)
    wanted = UpOptions(
        control_plane=options.control_plane,
        api_qps=options.api_qps,
        fake_nodes=options.kwok,
        volumes=options.volumes,
        owner_pid=options.owner_pid,
    )
    lifecycle.bring_up(home, wanted, say=lambda text: print(text, flush=True))
    print(f"export KUBECONFIG={home.kubeconfig}")
    return 0


def _run_down(options: argparse.Namespace) -> int:
    started = time.monotonic()
    home = _home(options)
    was_up = is_up(home)
    lifecycle.take_down(home, purge=options.purge)
    print(f"down after {time.monotonic() - started:.2f} s" if was_up else f"nothing ran in {home.root}")
    return 0


def _run_status(options: argparse.Namespace) -> int:
    home = _home(options)
    try:
        components = SupervisorClient(home).status()
        config = home.load()
    except NotUpError:
        print(json.dumps({"up": False, "home": str(home.root)}) if options.json else f"down ({home.root})")
        return EXIT_DOWN
    if options.json:
        facts = {"server": config.server, "kubeconfig": str(home.kubeconfig), "programs": config.programs}
        print(json.dumps({"up": True, "home": str(home.root), "mode": config.mode, **facts, "components": components}))
        return 0
    print(f"up ({config.mode}) at {config.server}, home {home.root}")
    for name, state in components.items():
        text = f"pid {state['pid']}" if state["running"] else f"ended with {state['exitCode']}"
        print(f"  {name:<25} {text}")
    return 0


def _run_load(options: argparse.Namespace) -> int:
    home = _require_node(options)
    for archive in options.archives:
        if not archive.is_file():
            raise UsageError(f"{archive} is not a file: give archives that hack/images/build or docker save wrote")
        for line in load_archive(home, archive):
            print(line)
    return 0


def _run_tag(options: argparse.Namespace) -> int:
    node.tag_image(_require_node(options), options.source, options.target)
    return 0


def _require_node(options: argparse.Namespace) -> Home:
    home = _home(options)
    if not is_up(home) or home.load().mode != "node":
        raise NotUpError(f"no node is up in {home.root}: start one with hack/testcluster/up")
    return home


def _run_logs(options: argparse.Namespace) -> int:
    home = _home(options)
    path = home.log / f"{options.component}.log"
    if not path.is_file():
        known = sorted(found.stem for found in home.log.glob("*.log"))
        raise UsageError(f"no log of {options.component!r}; there are: {', '.join(known) or 'none'}")
    follow = ["--follow"] if options.follow else []
    return subprocess.run(["tail", "--lines=+1", *follow, str(path)], check=False).returncode


def _run_kubeconfig(options: argparse.Namespace) -> int:
    home = _home(options)
    SupervisorClient(home).pid()
    print(home.kubeconfig)
    return 0


def _run_restart(options: argparse.Namespace) -> int:
    lifecycle.stop_component(_home(options), options.component, number=options.signal)
    lifecycle.start_component(_home(options), options.component)
    return 0


def _run_stop(options: argparse.Namespace) -> int:
    lifecycle.stop_component(_home(options), options.component, number=options.signal)
    return 0


def _run_signal(options: argparse.Namespace) -> int:
    SupervisorClient(_home(options)).send(options.component, options.signal)
    return 0


def _run_start(options: argparse.Namespace) -> int:
    lifecycle.start_component(_home(options), options.component)
    return 0


def _run_build(options: argparse.Namespace) -> int:
    wanted = UpOptions(control_plane=options.control_plane, fake_nodes=int(options.kwok))
    print(find_programs(os.environ).ensure(wanted_programs(wanted)))
    return 0


def _run_bootstrap(_: argparse.Namespace) -> int:
    bootstrap.install()
    return 0
