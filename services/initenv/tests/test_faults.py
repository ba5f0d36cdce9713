import errno

import pytest

from agent_api.initreport import InitFault
from agent_base.programfault import ProgramFault
from agent_initenv.errors import StepError, TransientError
from agent_initenv.faults import explain, explain_os_error


@pytest.mark.parametrize("fault", ProgramFault)
def test_every_fault_of_a_program_has_a_meaning_here(fault: ProgramFault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_initenv.faults.classify", lambda _: fault)
    error = explain("uv", "do it", "error: what it printed")
    assert isinstance(error, TransientError) == fault.is_transient
    assert error.cause == "uv could not do it: what it printed"
    assert error.cure


@pytest.mark.parametrize(
    "number, fault, cure",
    [
        (errno.ENOSPC, InitFault.DISK_FULL, "sizeLimit"),
        (errno.EDQUOT, InitFault.DISK_FULL, "sizeLimit"),
        (errno.EACCES, InitFault.UNEXPECTED, "read its mounts"),
        (errno.EROFS, InitFault.UNEXPECTED, "write to the shared volume"),
        (errno.EIO, InitFault.UNEXPECTED, "log"),
    ],
)
def test_errors_of_the_operating_system(number: int, fault: InitFault, cure: str) -> None:
    error = explain_os_error(OSError(number, "what it says", "/shared/x"))
    assert isinstance(error, StepError)
    assert error.fault == fault
    assert "/shared/x" in error.cause
    assert cure in error.cure
