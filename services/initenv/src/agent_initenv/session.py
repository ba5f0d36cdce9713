"""One session of the program: from a plan on disk to a prepared volume, a report and an exit code."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, TextIO

from agent_api.initplan import InitPlan
from agent_api.initreport import InitError, InitFault, InitReport
from agent_base.redaction import Redactor
from agent_initenv.command import Options
from agent_initenv.context import StepContext, child_environment, make_private_folder
from agent_initenv.errors import InterruptionError, SettingsError, StepError
from agent_initenv.faults import explain_os_error
from agent_initenv.plan import read_plan
from agent_initenv.process import Programs
from agent_initenv.progress import Progress
from agent_initenv.retry import Clock
from agent_initenv.run import Run
from agent_initenv.sequence import discard_stale_results, order_steps
from agent_initenv.sidecars import await_sidecars
from agent_initenv.tree import remove
from agent_initenv.volume import Volume

PREPARED: Final = 0
FAILED: Final = 1
UNUSABLE: Final = 2
BY_SIGNAL: Final = 128


class Session:
    """Prepares what `options` name. Nothing it raises is meant for a person: see the report."""

    def __init__(
        self, options: Options, environment: Mapping[str, str], progress: Progress, redactor: Redactor, clock: Clock
    ) -> None:
        self._options = options
        self._environment = environment
        self._progress = progress
        self._redactor = redactor
        self._clock = clock
        self._started_s = clock.now_s()

    def prepare(self) -> tuple[InitReport, int]:
        """The report and the exit code."""
        try:
            plan = read_plan(self._options.plan)
        except SettingsError as error:
            return self._fail("", StepError(InitFault.PLAN_INVALID, str(error))), UNUSABLE
        os.umask(0o022)
        try:
            return self._prepare(plan)
        except StepError as error:
            return self._fail(plan.agent, error), FAILED
        except OSError as error:
            return self._fail(plan.agent, explain_os_error(error)), FAILED
        except InterruptionError as error:
            asked = StepError(InitFault.INTERRUPTED, "The run was asked to end.")
            return self._fail(plan.agent, asked), BY_SIGNAL + error.signal_number
        except Exception as error:  # noqa: BLE001 - whatever it is, its reader gets a report
            said = StepError(InitFault.UNEXPECTED, f"{type(error).__name__}: {error}")
            return self._fail(plan.agent, said), FAILED

    def _prepare(self, plan: InitPlan) -> tuple[InitReport, int]:
        with self._opened() as context:
            steps = order_steps(plan, context, self._options.phase)
            discard_stale_results(plan, context, self._options.phase)
            run = Run(plan.agent, plan.limits, context, self._clock, self._started_s)
            report = run.prepare(steps)
            context.volume.clear_staging()
            if not (report.error or context.keeps_cache):
                remove(context.cache)
        if run.interrupted_by is not None:
            return report, BY_SIGNAL + run.interrupted_by
        if report.error:
            return report, FAILED
        await_sidecars(self._options.sidecars, self._progress, self._clock)
        return report, PREPARED

    @contextmanager
    def _opened(self) -> Iterator[StepContext]:
        volume = Volume(self._options.root)
        lock = volume.open()
        private = make_private_folder(self._options.tmp, volume)
        environment = child_environment(self._environment, private)
        cache = self._options.cache or volume.cache
        cache.mkdir(parents=True, exist_ok=True)
        try:
            yield StepContext(
                volume=volume,
                programs=Programs(environment["PATH"], self._clock, self._redactor, adopts=True),
                progress=self._progress,
                redactor=self._redactor,
                environment=environment,
                private=private,
                cache=cache,
                keeps_cache=self._options.cache is not None,
            )
        finally:
            remove(private)
            os.close(lock)

    def _fail(self, agent: str, failure: StepError) -> InitReport:
        mask = self._redactor.redact
        error = InitError(step="plan", fault=failure.fault, cause=mask(failure.cause), cure=mask(failure.cure))
        self._progress.explain(error)
        seconds = round(self._clock.now_s() - self._started_s, 3)
        return InitReport(agent=agent, outcome="failed", seconds=seconds, error=error)


def write_report(report: InitReport, path: Path | None, stdout: TextIO, complain: Callable[[str], None]) -> None:
    """Write the report to stdout and to `path`, in place: a termination log is a mount and cannot be replaced."""
    line = f"{report.line()}\n"
    if path is not None:
        try:
            path.write_text(line)
        except OSError as error:
            complain(f"the report cannot be written to {path}: {error.strerror}")
    stdout.write(line)
    stdout.flush()


def listen_to_signals() -> None:
    """Turn the first SIGTERM or SIGINT into an InterruptionError and ignore those after it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del frame
        for ignored in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ignored, signal.SIG_IGN)
        raise InterruptionError(number)

    for heard in (signal.SIGTERM, signal.SIGINT):
        signal.signal(heard, interrupt)
