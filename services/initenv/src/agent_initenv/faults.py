"""What a failure means to the reader of the report: of uv, npm and git, and of the operating system."""

import errno
from typing import Final

from agent_api.initreport import InitFault
from agent_base.programfault import ProgramFault, classify, summarise
from agent_initenv.errors import StepError, TransientError

_FAULTS: Final = {
    ProgramFault.DISK_FULL: InitFault.DISK_FULL,
    ProgramFault.HASH_MISMATCH: InitFault.HASH_MISMATCH,
    ProgramFault.UNKNOWN_AUTHORITY: InitFault.NETWORK_FAILED,
    ProgramFault.UNKNOWN_HOST_KEY: InitFault.ACCESS_DENIED,
    ProgramFault.ACCESS_DENIED: InitFault.ACCESS_DENIED,
    ProgramFault.NETWORK: InitFault.NETWORK_FAILED,
    ProgramFault.NO_REVISION: InitFault.REVISION_NOT_FOUND,
    ProgramFault.NO_REPOSITORY: InitFault.CODE_NOT_FOUND,
    ProgramFault.NO_WHEEL: InitFault.NO_WHEEL,
    ProgramFault.NO_PACKAGE: InitFault.PACKAGE_NOT_FOUND,
    ProgramFault.NO_VERSION: InitFault.UNRESOLVABLE,
    ProgramFault.CONFLICT: InitFault.UNRESOLVABLE,
    ProgramFault.INVALID_REQUIREMENT: InitFault.UNRESOLVABLE,
    ProgramFault.UNKNOWN: InitFault.UNEXPECTED,
}
_CURES: Final = {
    ProgramFault.UNKNOWN_AUTHORITY: "Put the authority's certificate as `ca.crt` into the Secret of sdk.indexSecret.",
    ProgramFault.UNKNOWN_HOST_KEY: "Correct `known_hosts` in the Secret.",
}


def explain(program: str, task: str, output: str) -> StepError:
    """What a failed child means: a StepError, or a TransientError when another attempt may succeed.

    `task` completes "<program> could not ...". `output` has been redacted.
    """
    fault = classify(output)
    kind = TransientError if fault.is_transient else StepError
    return kind(_FAULTS[fault], f"{program} could not {task}: {summarise(output)}", _CURES.get(fault, ""))


def explain_os_error(error: OSError) -> StepError:
    """What an error of the operating system means for the reader."""
    where = error.filename or "a file"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StepError(InitFault.DISK_FULL, f"There is no room to write {where}.")
    cure = ""
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        cure = "Let the init container's user read its mounts and write to the shared volume."
    return StepError(InitFault.UNEXPECTED, f"{error.strerror}: {where}.", cure)
