"""Setup: the author's own commands, last, with what was prepared on their path.

They write where they like under /shared, so they are not staged. When one was stopped half-way or failed, the
next run that prepares empties the volume and prepares everything anew instead of building on what it left. In a Pod
they have a container of their own: what a package brings may run here, and no Secret of preparation is there to take.
"""

import os
from pathlib import Path
from typing import Final

from agent_api.initplan import SetupStep as PlannedSetup
from agent_api.initreport import InitFault, StepName
from agent_api.layout import SHARED_BIN, SHARED_CODE, SHARED_SDK_NODEJS, SHARED_SDK_PYTHON
from agent_base.programfault import ProgramFault, classify
from agent_initenv.context import StepContext
from agent_initenv.errors import StepError
from agent_initenv.retry import RetryPolicy
from agent_initenv.volume import Stamp, digest

UNFINISHED: Final = "unfinished"
_LAST_LINES: Final = 10
_LAST_CHARS: Final = 500


class SetupSteps:
    """Runs the commands in order; they see what the steps `after` have made."""

    name: StepName = "setup"

    def __init__(self, steps: tuple[PlannedSetup, ...], context: StepContext, after: tuple[StepName, ...]) -> None:
        self._steps = steps
        self._after = after
        self._context = context
        self.title = f"{len(steps)} command{'s' if len(steps) != 1 else ''}"

    def is_current(self, stamp: Stamp, retry: RetryPolicy) -> bool:
        """Whether the same commands ended well after the very same steps."""
        del retry
        return stamp.fingerprint == self._fingerprint()

    def build(self, retry: RetryPolicy) -> Stamp:
        """Run all commands; the first that fails ends it."""
        del retry
        fingerprint = self._fingerprint()
        self._context.volume.write_stamp(self.name, Stamp(UNFINISHED))
        for step in self._steps:
            self._run(step)
        stamp = Stamp(fingerprint, detail=", ".join(step.name for step in self._steps))
        self._context.volume.write_stamp(self.name, stamp)
        return stamp

    def _fingerprint(self) -> str:
        commands = [(step.name, step.command) for step in self._steps]
        before = [self._context.volume.read_stamp(name) for name in self._after]
        return digest(commands, [stamp.fingerprint if stamp else "" for stamp in before])

    def _run(self, step: PlannedSetup) -> None:
        command = [
            str(self._context.volume.locate(argument)) if argument.startswith("/") else argument
            for argument in step.command
        ]
        env = self._environment()
        try:
            program = command[0] if "/" in command[0] else self._context.programs.find(command[0], env["PATH"])
            finished = self._context.programs.run(
                [program, *command[1:]],
                env=env,
                cwd=self._folder(),
                timeout_s=step.timeout_seconds,
                echo=lambda line: self._context.progress.note("setup", f"{step.name}: {line}"),
            )
        except StepError as error:
            raise StepError(error.fault, f"The setup step {step.name!r}: {error.cause}", error.cure) from error
        if finished.code != 0:
            raise self._failure(step, finished.code, finished.output)

    def _failure(self, step: PlannedSetup, code: int, output: str) -> StepError:
        lines = [line.strip() for line in output.splitlines() if line.strip()][-_LAST_LINES:]
        ended = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        last = f" Its last lines: {' | '.join(lines)[-_LAST_CHARS:]}" if lines else " It printed nothing."
        full = classify(output) is ProgramFault.DISK_FULL
        fault = InitFault.DISK_FULL if full else InitFault.SETUP_FAILED
        return StepError(fault, f"The setup step {step.name!r} {ended}.{last}")

    def _folder(self) -> Path:
        code = self._context.volume.locate(SHARED_CODE)
        return code if code.is_dir() else self._context.volume.shared

    def _environment(self) -> dict[str, str]:
        locate = self._context.volume.locate
        python, nodejs = locate(SHARED_SDK_PYTHON), locate(SHARED_SDK_NODEJS)
        path = (locate(SHARED_BIN), python / "bin", nodejs / "node_modules" / ".bin")
        env = dict(self._context.environment)
        env["PATH"] = os.pathsep.join([env["PATH"], *map(str, path)])  # `sh` is the system's, not a package's
        if python.is_dir():
            env["PYTHONPATH"] = str(python)
        if nodejs.is_dir():
            env["NODE_PATH"] = str(nodejs / "node_modules")
        return env
