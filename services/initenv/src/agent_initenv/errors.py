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

CURES = {
    InitFault.PLAN_INVALID: "Correct the field named above in the AgentType.",
    InitFault.PATH_ESCAPES: "Give a path that stays under the folder named above.",
    InitFault.FILE_MISSING: "Check the name of the ConfigMap or claim and the key.",
    InitFault.CODE_NOT_FOUND: "Check spec.agent.code.source: repository and path.",
    InitFault.REVISION_NOT_FOUND: "Check spec.agent.code.source.revision: a branch, a tag or a full commit id "
    "that has been pushed.",
    InitFault.ACCESS_DENIED: "Check the Secret with the credentials: its keys, and what they may read.",
    InitFault.PACKAGE_NOT_FOUND: "Check the spelling of the package, and that the index in use offers it.",
    InitFault.NO_WHEEL: "Pin a version that has a wheel for this runtime, change the runtime's version, or "
    "build the wheel and put it on an index of your own: nothing is compiled here.",
    InitFault.HASH_MISMATCH: "Do not use this file. Find out why it changed, then make the lock file anew.",
    InitFault.UNRESOLVABLE: "Loosen or correct the version limits that are named above.",
    InitFault.NETWORK_FAILED: "Check that the host answers from here: DNS, proxy, and in a cluster its egress rules.",
    InitFault.DISK_FULL: "Raise spec.agent.environment.volume.sizeLimit, or prepare less.",
    InitFault.GLUE_MISSING: "Add the file to spec.agent.environment.files, or correct glueCode.source.",
    InitFault.SETUP_FAILED: "Read its last lines above; run the command by hand in the same image.",
    InitFault.TIMED_OUT: "Raise the time limit, or find out why it takes so long.",
    InitFault.PROGRAM_MISSING: "Use an init image that is built FROM agent-initenv, or install the program.",
    InitFault.INTERRUPTED: "Nothing to do: the next start begins where this one can be trusted.",
    InitFault.UNEXPECTED: "Report this with the log of the init container.",
}


class StepError(Exception):
    """A step cannot be done. `cause` is one sentence with the name of the thing, `cure` what to do."""

    def __init__(self, fault: InitFault, cause: str, cure: str = "") -> None:
        super().__init__(cause)
        self.fault = fault
        self.cause = cause
        self.cure = cure or CURES[fault]


class TransientError(StepError):
    """A network fault, 429 or 5xx: worth another attempt within the limits."""


class SettingsError(Exception):
    """The command line or the plan cannot be used; the text says which part and why."""


class InterruptionError(BaseException):
    """A signal asked for the end."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"signal {signal_number}")
        self.signal_number = signal_number
