"""What the init container says at its end: one JSON line in the termination message, at most 4,096 bytes."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field

from agent_api.layout import TERMINATION_LOG_BYTES
from agent_api.model import Report

_TEXT_LIMITS = (800, 400, 200, 100)  # characters; one may take six bytes in JSON

StepName = Literal["plan", "files", "code", "packages", "glue", "setup"]


class InitFault(StrEnum):
    """Why a step failed, as the operator shows it for `WorkspacePrepared`. `cause` and `cure` are sentences."""

    cause: str
    cure: str

    def __new__(cls, value: str, cause: str, cure: str) -> Self:
        """A member from its row."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.cause = cause
        member.cure = cure
        return member

    PLAN_INVALID = (
        "PlanInvalid",
        "A field that only the init container can judge is wrong, such as a requirement that is an option.",
        "Correct the field of the AgentType that the message names.",
    )
    PATH_ESCAPES = (
        "PathEscapes",
        "A path or a symbolic link leaves the folder it must stay in.",
        "Give a path inside that folder, or replace the link with a copy.",
    )
    FILE_MISSING = (
        "FileMissing",
        "A mounted file, lock file or folder does not exist.",
        "Check the name of the ConfigMap or claim, and the key.",
    )
    CODE_NOT_FOUND = (
        "CodeNotFound",
        "The repository, or the folder in it, does not exist.",
        "Check `repository` and `path` of spec.agent.code.source.",
    )
    REVISION_NOT_FOUND = (
        "RevisionNotFound",
        "The repository has no such branch, tag or commit.",
        "Give a branch, a tag or a full commit id that has been pushed as spec.agent.code.source.revision.",
    )
    ACCESS_DENIED = (
        "AccessDenied",
        "A server refused the credentials, or there are none.",
        "Check the keys of the Secret with the credentials, and what they may read.",
    )
    PACKAGE_NOT_FOUND = (
        "PackageNotFound",
        "The package index has no package of that name.",
        "Check the spelling of the package, and that the index in use offers it.",
    )
    NO_WHEEL = (
        "NoWheel",
        "A Python package has no wheel for this runtime; nothing is compiled.",
        "Pin a version that has a wheel, change the runtime's version, or serve a wheel from an index of your own.",
    )
    HASH_MISMATCH = (
        "HashMismatch",
        "A download is not what the lock file says. It is never tried again.",
        "Do not use the file. Find out why it changed, then create the lock file again.",
    )
    UNRESOLVABLE = (
        "Unresolvable",
        "No set of versions fits all requirements, or the lock file does not fit them.",
        "Loosen or correct the version limits that the message names.",
    )
    NETWORK_FAILED = (
        "NetworkFailed",
        "A server could not be reached, even after all attempts, or its certificate is not trusted.",
        "Check DNS, proxy and egress rules; put a private authority into `ca.crt` of the index Secret.",
    )
    DISK_FULL = (
        "DiskFull",
        "A volume has no room left.",
        "Raise spec.agent.environment.volume.sizeLimit, or prepare less.",
    )
    GLUE_MISSING = (
        "GlueMissing",
        "The glue file is neither among the files nor in the code.",
        "Add it to spec.agent.environment.files, or correct glueCode.source.",
    )
    SETUP_FAILED = (
        "SetupFailed",
        "A setup command ended with an error; its last lines are in the message.",
        "Run the command by hand in the same image.",
    )
    TIMED_OUT = (
        "TimedOut",
        "A step did not end within its time limit.",
        "Raise the time limit, or find out why the step takes so long.",
    )
    PROGRAM_MISSING = (
        "ProgramMissing",
        "The init image lacks a program.",
        "Build the image FROM agent-initenv, or install the program.",
    )
    INTERRUPTED = (
        "Interrupted",
        "The init container was asked to stop.",
        "Nothing to do: the next start continues from what can be trusted.",
    )
    UNEXPECTED = (
        "Unexpected",
        "Anything else.",
        "Report it with the log of the init container.",
    )


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
