"""Everything that can go wrong, as types.

    Exception
    ├── StepError               a step cannot be done: fault, cause and cure for the report
    │   └── TransientError      the same, but another attempt may succeed
    └── SettingsError           the command line or the plan is wrong (exit code 2)
    BaseException
    └── InterruptionError       SIGTERM or SIGINT arrived; no handler for ordinary errors may swallow it

Errors of the operating system and of child processes never leave the module that meets them, except
`OSError`, which `agent_initenv.faults.explain_os_error` turns into a `StepError` in one place.
"""

from agent_api.initreport import InitFault


class StepError(Exception):
    """A step cannot be done. `cause` is one sentence with the name of the thing, `cure` what to do."""

    def __init__(self, fault: InitFault, cause: str, cure: str = "") -> None:
        super().__init__(cause)
        self.fault = fault
        self.cause = cause
        self.cure = cure or fault.cure


class TransientError(StepError):
    """A network fault, 429 or 5xx: worth another attempt within the limits."""


class SettingsError(Exception):
    """The command line or the plan cannot be used; the text says which part and why."""


class InterruptionError(BaseException):
    """A signal asked for the end."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"signal {signal_number}")
        self.signal_number = signal_number
