"""What the init container says at its end: one JSON line in the termination message, at most 4,096 bytes."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from agent_api.layout import TERMINATION_LOG_BYTES
from agent_api.model import Report

_TEXT_LIMITS = (800, 400, 200, 100)  # characters; one may take six bytes in JSON

StepName = Literal["plan", "files", "code", "packages", "glue", "setup"]


class InitFault(StrEnum):
    """Why a step failed; the operator shows it as the reason of `WorkspacePrepared`."""

    PLAN_INVALID = "PlanInvalid"
    PATH_ESCAPES = "PathEscapes"
    FILE_MISSING = "FileMissing"
    CODE_NOT_FOUND = "CodeNotFound"
    REVISION_NOT_FOUND = "RevisionNotFound"
    ACCESS_DENIED = "AccessDenied"
    PACKAGE_NOT_FOUND = "PackageNotFound"
    NO_WHEEL = "NoWheel"
    HASH_MISMATCH = "HashMismatch"
    UNRESOLVABLE = "Unresolvable"
    NETWORK_FAILED = "NetworkFailed"
    DISK_FULL = "DiskFull"
    GLUE_MISSING = "GlueMissing"
    SETUP_FAILED = "SetupFailed"
    TIMED_OUT = "TimedOut"
    PROGRAM_MISSING = "ProgramMissing"
    INTERRUPTED = "Interrupted"
    UNEXPECTED = "Unexpected"


class StepReport(Report):
    """One step: what was done, how long it took and how much it wrote."""

    name: StepName
    outcome: Literal["done", "unchanged", "failed"]
    seconds: float
    size_bytes: int = Field(default=0, description="Bytes in the step's part of /shared after it.")
    attempts: int = 1
    detail: str = Field(default="", description="Such as the commit that was checked out.")


class InitError(Report):
    """The step that failed, the cause, and what the reader can do. Never holds a secret."""

    step: StepName
    fault: InitFault
    cause: str
    cure: str


class InitReport(Report):
    """The whole run."""

    schema_version: Literal[1] = 1
    agent: str
    outcome: Literal["succeeded", "failed"]
    seconds: float
    size_bytes: int = 0
    steps: tuple[StepReport, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict, description="Version of each package installed, by name.")
    error: InitError | None = None
    truncated: bool = Field(default=False, description="True when parts were left out to fit the size limit.")

    def line(self) -> str:
        """The report as one JSON line of at most 4,096 bytes.

        What is left out first: versions from the end, then details of steps, then the tail of cause and cure.
        """
        return _fit(self).model_dump_json(exclude_defaults=False)


def _size(report: InitReport) -> int:
    return len(report.model_dump_json().encode())


def _fit(report: InitReport) -> InitReport:
    if _size(report) <= TERMINATION_LOG_BYTES:
        return report
    versions = dict(report.versions)
    report = report.model_copy(update={"truncated": True, "versions": versions})
    while versions and _size(report) > TERMINATION_LOG_BYTES:
        versions.popitem()
    for limit in _TEXT_LIMITS:
        if _size(report) <= TERMINATION_LOG_BYTES:
            break
        report = _shortened(report, limit)
    return report


def _shortened(report: InitReport, limit: int) -> InitReport:
    """The report with every free text cut to `limit` characters."""
    steps = tuple(step.model_copy(update={"detail": step.detail[: limit // 4]}) for step in report.steps)
    error = report.error
    if error is not None:
        error = error.model_copy(update={"cause": error.cause[:limit], "cure": error.cure[:limit]})
    return report.model_copy(update={"steps": steps, "error": error})
