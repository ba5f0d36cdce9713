"""The command line: parses it, calls one command, turns errors into one line and an exit code.

Exit codes: 0 done, 1 the command failed, 2 the command line was wrong; `run` gives the agent's own.
"""

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence

from agentberth.commands import (
    approvals,
    check,
    completion,
    console,
    crd,
    diagnose,
    init,
    install,
    policy,
    render,
    rollback,
    run,
    test,
    tools,
    uninstall,
    validate,
)
from agentberth.errors import CommandError
from agentberth.options import Parser
from agentberth.terminal import stderr, stdout

_EPILOG = """\
examples:
  agentberth init my-agent                make a first agent that runs, with a test
  agentberth run agent.yaml               run an agent on this machine, without a cluster
  agentberth test examples/               test agents from recorded answers
  agentberth validate deploy/ agent.yaml  check manifests, with file and line of each fault
  agentberth render agent.yaml            print what the operator would create
  agentberth console                      show the agents of a cluster in a local web page
  agentberth diagnose librarian           say why an agent in a cluster is not ready
  agentberth rollback librarian           return an agent to a spec with which it worked
  agentberth tools diff librarian         show what changed in a tool that is blocked
  agentberth check                        say what a cluster lacks for agents to run
  agentberth install                      install or upgrade Agentberth in a cluster
  agentberth approvals                    list calls of tools that wait for a person
"""
_COMMANDS = (
    init, run, test, validate, render, policy, check, install, uninstall, console, diagnose, rollback, tools,
    approvals, crd, completion,
)  # fmt: skip
"""In the order of `--help`: an agent's life on one machine, then in a cluster."""


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = Parser(
        prog="agentberth",
        description="Run AI agents from one file: on this machine, or on Kubernetes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = importlib.metadata.version("agentberth")
    top.add_argument("--version", action="version", version=f"agentberth {version}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        module.register(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    cut = words.index("--") if "--" in words else len(words)
    try:
        options = parser().parse_args(words[:cut])
        options.arguments = words[cut + 1 :]
        code: int = options.call(options)
    except CommandError as error:
        stderr().error(str(error), error.cure)
        return error.exit_code
    except BrokenPipeError:
        stdout().discard()
        stderr().discard()
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("AGENTBERTH_DEBUG"):
            raise
        stderr().error(
            f"unexpected {type(error).__name__}: {error}",
            "this is a bug of agentberth: report it with the traceback that AGENTBERTH_DEBUG=1 shows",
        )
        return 1
    return code
