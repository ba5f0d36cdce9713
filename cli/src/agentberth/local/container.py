"""What stands for the agent's container on this machine: the agent's parent, which leaves nothing of it behind.

    python -I -m agentberth.local.container PID [WRITABLE...] -- PROGRAM [ARGUMENT...]

PID is the run's process. When it is gone, even by SIGKILL, everything that the agent has started is killed. The agent
may write to the folders WRITABLE alone, as in the Pod with its read-only root; without any, there is no such limit.
Signals reach the agent directly, as it is in this process's group. The exit code is the agent's, or 128 + n after
signal n.
"""

import os
import signal
import sys
from types import FrameType

from agent_base.processtree import (
    become_subreaper,
    die_with_parent,
    kill_descendants,
    load_prctl,
    refuse_new_privileges,
)
from agent_toolproxy.process.landlock import confine

_CANNOT_START = 127
_FOR_THE_AGENT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def main(arguments: list[str]) -> int:
    """Run the agent and wait for its end."""
    run, *writable = arguments[: arguments.index("--")]
    command = arguments[arguments.index("--") + 1 :]
    load_prctl()
    become_subreaper()
    _follow(int(run))
    agent = os.fork()
    if agent == 0:
        _become(command, writable)
    code = _wait_for(agent)
    kill_descendants()
    return code


def _follow(run: int) -> None:
    """End with the process `run`; a signal that is for the agent passes by."""

    def receive(_number: int, _frame: FrameType | None) -> None:
        if os.getppid() != run:
            kill_descendants()
            os._exit(128 + signal.SIGKILL)

    for number in _FOR_THE_AGENT:
        signal.signal(number, receive)
    die_with_parent(signal.SIGTERM)
    receive(0, None)  # it may have ended before


def _become(command: list[str], writable: list[str]) -> None:
    try:
        for number in (*_FOR_THE_AGENT, signal.SIGPIPE):  # Python ignores SIGPIPE, and the agent would inherit that
            signal.signal(number, signal.SIG_DFL)
        refuse_new_privileges()
        if writable:
            confine([], writable)
        os.execvp(command[0], command)  # noqa: S606 - the words of the manifest, no shell
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        sys.stderr.flush()
    os._exit(_CANNOT_START)


def _wait_for(agent: int) -> int:
    """Collects every process that ends, until it is the agent."""
    while True:
        pid, status = os.wait()
        if pid == agent:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
