"""`agentberth run`: the agent's Pod as processes of this machine."""

import argparse
import asyncio
import contextlib
import math
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from agent_base.processtree import kill_descendants
from agentberth.commands import add
from agentberth.errors import UsageError

if TYPE_CHECKING:
    from agentberth.commands import Commands
    from agentberth.local.session import Session
    from agentberth.replay.deck import Tape

_EPILOG = """\
The files contain one AgentType, and the ConfigMaps and Secrets it refers to. If the Secret of a provider of type openai
or anthropic is not among them, and the provider has no other address, it uses OPENAI_API_KEY or ANTHROPIC_API_KEY from
your shell. Nothing is written outside .agentberth/ beside the manifest. The exit code is the agent's own, 1 if it could
not be prepared, 130 after Ctrl-C, or 143 after SIGTERM.

AGENTBERTH_LOG_LEVEL=info (or debug) also shows what the sidecars log; the default is warning.

examples:
  agentberth run agent.yaml
  agentberth run agent.yaml secrets.yaml       with the Secrets it refers to
  agentberth run agent.yaml --mock-llm         without keys: a mock answers for every model
  agentberth run agent.yaml --mock-script mock.yaml   with these answers
  agentberth run agent.yaml --fresh            prepare everything again
  agentberth run agent.yaml -- --topic robots  arguments for the agent
  agentberth run nginx.yaml --command "python -m http.server 8080"
  agentberth run agent.yaml --console          watch it in a browser: calls, tokens, logs
  agentberth run agent.yaml --record a.jsonl   record the answers of models and tools
  agentberth run agent.yaml --replay a.jsonl   answer from the recording: no key, no network, no cost
  agentberth run agent.yaml --replay a.jsonl --live tools  replay only the models
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(commands, "run", summary="run an agent on this machine, without a cluster", epilog=_EPILOG, call=_call)
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="manifest with the AgentType")
    parser.add_argument("--command", metavar="COMMAND", help="program to run instead of a container agent's image")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="platform settings, as for render")
    parser.add_argument("--mock-llm", action="store_true", help="use a mock instead of every model provider")
    parser.add_argument(
        "--mock-script", type=Path, metavar="FILE", help="like --mock-llm, with answers and tool calls from a YAML file"
    )
    parser.add_argument("--fresh", action="store_true", help="discard what was prepared before")
    parser.add_argument(
        "--grace", type=_seconds, metavar="SECONDS", help="time between SIGTERM and SIGKILL (default: the Pod's)"
    )
    parser.add_argument("--clean", action="store_true", help="use an empty workspace and memory for this run")
    parser.add_argument(
        "--workspace", type=Path, metavar="FOLDER", help="like --clean, with a copy of FOLDER as the workspace"
    )
    tape = parser.add_mutually_exclusive_group()
    tape.add_argument(
        "--record", type=Path, metavar="FILE", help="record the answers of models and tools in a cassette"
    )
    tape.add_argument(
        "--replay", type=Path, metavar="FILE", help="answer from a cassette; stop at a request that is not in it"
    )
    parser.add_argument(
        "--live", action="append", choices=("tools", "models"), help="with --replay: use the real tools or models"
    )
    parser.add_argument("--timing", action="store_true", help="with --replay: replay streams at their recorded speed")
    parser.add_argument("--replay-report", type=Path, help=argparse.SUPPRESS)  # for `agentberth test`
    parser.add_argument(
        "--approve", action="append", metavar="TOOL", help="approve calls of TOOL (a glob) that a rule asks about"
    )
    parser.add_argument("--console", action="store_true", help="show the run in a local web page, until Ctrl-C")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write a page that shows the run and needs no server"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the agent's output, unchanged")


def _seconds(text: str) -> float:
    """Raises ArgumentTypeError for what is no time."""
    with contextlib.suppress(ValueError):
        if 0 <= (seconds := float(text)) < math.inf:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds such as 30")


def _call(options: argparse.Namespace) -> int:
    from agentberth.local.models import ModelChoice  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.local.session import Session  # noqa: PLC0415 - likewise

    session = Session.open(
        tuple(options.paths),
        settings=options.settings,
        command=options.command,
        arguments=tuple(options.arguments),
        fresh=options.fresh,
        quiet=options.quiet,
        models=ModelChoice(mocked=options.mock_llm, script=options.mock_script, environment=os.environ),
        tape=_tape(options),
    )
    with session.locked(), _begun(session, options):
        try:
            return asyncio.run(_run(session, options))
        finally:
            if options.replay_report:
                session.report_replay(options.replay_report)


def _tape(options: argparse.Namespace) -> "Tape | None":
    """Raises UsageError for options that need a cassette."""
    from agentberth.replay.deck import Tape  # noqa: PLC0415 - keeps `--help` quick

    if not options.replay and (options.live or options.timing or options.replay_report):
        raise UsageError("--live and --timing go with --replay", cure="agentberth run --help")
    if options.record:
        return Tape(options.record, "record")
    return Tape(options.replay, "replay", frozenset(options.live or ()), options.timing) if options.replay else None


def _begun(session: "Session", options: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    """What the agent finds in its workspace and memory."""
    from agentberth.local import setaside  # noqa: PLC0415 - keeps `--help` quick

    setaside.bring_back(session.root)
    if options.clean or options.workspace:
        return setaside.clean(session.root, options.workspace)
    return contextlib.nullcontext()


async def _run(session: "Session", options: argparse.Namespace) -> int:
    from agentberth.console.runview import Shown  # noqa: PLC0415 - keeps `--help` quick

    stop = asyncio.Event()
    received: list[int] = []

    def receive(number: int) -> None:
        if received:  # asked twice: no more grace
            kill_descendants()
        received.append(number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, receive, number)
    shown = None
    if options.console or options.report:
        shown = Shown(
            session.agent.metadata.name, session.plans, session.ports, console=options.console, report=options.report
        )
    code = await session.run(stop, options.grace, shown, tuple(options.approve or ()))
    return 128 + received[0] if received else code
