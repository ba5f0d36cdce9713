"""The run: steps in order, and one summariser that turns their results into the report."""

import shutil
from collections.abc import Sequence
from typing import Literal, Protocol

from agent_api.initplan import InitLimits
from agent_api.initreport import InitError, InitFault, InitReport, StepName, StepReport
from agent_initenv.bench import Bench
from agent_initenv.effort import Clock, Effort
from agent_initenv.errors import InterruptionError, StepError
from agent_initenv.faults import explain_os_error
from agent_initenv.progress import readable_size
from agent_initenv.volume import Stamp

Outcome = Literal["done", "unchanged", "failed"]


class Step(Protocol):
    """One thing to prepare. Both methods raise StepError; `build` leaves either the old or the new result."""

    name: StepName
    title: str

    def is_current(self, stamp: Stamp, effort: Effort) -> bool:
        """Whether what `stamp` tells of is still what is wanted, and there."""

    def build(self, effort: Effort) -> Stamp:
        """Prepare it, put it in place, and write and return its stamp."""


class Run:
    """Does steps one after the other and remembers what became of each."""

    def __init__(self, agent: str, limits: InitLimits, bench: Bench, clock: Clock, started_s: float) -> None:
        self._agent = agent
        self._limits = limits
        self._bench = bench
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
                self._bench.progress.explain(error)
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
        self._bench.progress.start(step.name, step.title)
        started_s = self._clock.now_s()
        effort = Effort(self._limits, self._clock, lambda text: self._bench.progress.note(step.name, text))
        stamp, outcome, failure = self._bring_about(step, effort)
        if failure is not None:
            self._bench.volume.clear_staging()
        report = StepReport(
            name=step.name,
            outcome=outcome,
            seconds=round(self._clock.now_s() - started_s, 3),
            size_bytes=stamp.size_bytes,
            attempts=effort.attempts,
            detail=self._bench.secrets.mask(stamp.detail),
        )
        self._reports.append(report)
        self._versions |= stamp.versions
        self._bench.progress.end(report)
        return self._describe(step.name, failure) if failure else None

    def _bring_about(self, step: Step, effort: Effort) -> tuple[Stamp, Outcome, StepError | None]:
        try:
            stamp = self._bench.volume.read_stamp(step.name)
            if stamp is not None and step.is_current(stamp, effort):
                return stamp, "unchanged", None
            return step.build(effort), "done", None
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
        mask = self._bench.secrets.mask
        return InitError(step=step, fault=failure.fault, cause=mask(cause), cure=mask(failure.cure))

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._bench.volume.shared).free
