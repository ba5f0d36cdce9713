"""The run: steps in order, and one summariser that turns their results into the report."""

import shutil
from collections.abc import Sequence
from typing import Literal, Protocol

from agent_api.initplan import InitLimits
from agent_api.initreport import InitError, InitFault, InitReport, StepName, StepReport
from agent_initenv.context import StepContext
from agent_initenv.errors import InterruptionError, StepError
from agent_initenv.faults import explain_os_error
from agent_initenv.progress import readable_size
from agent_initenv.retry import Clock, RetryPolicy
from agent_initenv.volume import Stamp

Outcome = Literal["done", "unchanged", "failed"]
Phase = Literal["all", "prepare", "setup"]
"""Which steps a run does: all of a plan, those before its setup commands, or these alone."""


class Step(Protocol):
    """One thing to prepare. Both methods raise StepError; `build` leaves either the old or the new result."""

    name: StepName
    title: str

    def is_current(self, stamp: Stamp, retry: RetryPolicy) -> bool:
        """Whether what `stamp` tells of is still what is wanted, and there."""

    def build(self, retry: RetryPolicy) -> Stamp:
        """Prepare it, put it in place, and write and return its stamp."""


class Run:
    """Does steps one after the other and remembers what became of each."""

    def __init__(self, agent: str, limits: InitLimits, context: StepContext, clock: Clock, started_s: float) -> None:
        self._agent = agent
        self._limits = limits
        self._context = context
        self._clock = clock
        self._started_s = started_s
        self._reports: list[StepReport] = []
        self._versions: dict[str, str] = {}
        self.interrupted_by: int | None = None

    def prepare(self, steps: Sequence[Step]) -> InitReport:
        """Do all steps, or those before the first that fails or is interrupted."""
        for step in steps:
            error = self._do(step)
            if error is not None:
                self._context.progress.explain(error)
                return self.summarise(error)
        return self.summarise(None)

    def summarise(self, error: InitError | None) -> InitReport:
        """The report of what was done so far."""
        return InitReport(
            agent=self._agent,
            outcome="failed" if error else "succeeded",
            seconds=round(self._clock.now_s() - self._started_s, 3),
            size_bytes=sum(report.size_bytes for report in self._reports),
            steps=tuple(self._reports),
            versions=self._versions,
            error=error,
        )

    def _do(self, step: Step) -> InitError | None:
        self._context.progress.start(step.name, step.title)
        started_s = self._clock.now_s()
        retry = RetryPolicy(self._limits, self._clock, lambda text: self._context.progress.note(step.name, text))
        stamp, outcome, failure = self._run_step(step, retry)
        if failure is not None:
            self._context.volume.clear_staging()
        report = StepReport(
            name=step.name,
            outcome=outcome,
            seconds=round(self._clock.now_s() - started_s, 3),
            size_bytes=stamp.size_bytes,
            attempts=retry.attempts,
            detail=self._context.redactor.redact(stamp.detail),
        )
        self._reports.append(report)
        self._versions |= stamp.versions
        self._context.progress.end(report)
        return self._describe(step.name, failure) if failure else None

    def _run_step(self, step: Step, retry: RetryPolicy) -> tuple[Stamp, Outcome, StepError | None]:
        try:
            stamp = self._context.volume.read_stamp(step.name)
            if stamp is not None and step.is_current(stamp, retry):
                return stamp, "unchanged", None
            return step.build(retry), "done", None
        except StepError as error:
            return Stamp(""), "failed", error
        except OSError as error:
            return Stamp(""), "failed", explain_os_error(error)
        except InterruptionError as error:
            self.interrupted_by = error.signal_number
            return Stamp(""), "failed", StepError(InitFault.INTERRUPTED, "The run was asked to end.")

    def _describe(self, step: StepName, failure: StepError) -> InitError:
        cause = failure.cause
        if failure.fault == InitFault.DISK_FULL:
            free = readable_size(self._free_bytes())
            cause = f"{cause} The shared volume has {free} left."
        mask = self._context.redactor.redact
        return InitError(step=step, fault=failure.fault, cause=mask(cause), cure=mask(failure.cure))

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._context.volume.shared).free
