"""What ends a command, and with which exit code.

    CommandError (1)        the command was understood and failed
    ├── ManifestError (1)   a manifest cannot be used
    └── UsageError (2)      the command line cannot be understood

Each message is one sentence for a person; `cure`, when there is one, says what to do.
"""

from typing import ClassVar


class CommandError(Exception):
    """Base: `app.main` prints it and exits with `exit_code`."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, cure: str = "") -> None:
        super().__init__(message)
        self.cure = cure


class ManifestError(CommandError):
    """Raised when a manifest cannot be read, parsed or accepted."""


class UsageError(CommandError):
    """Raised when options contradict each other or name what is not there."""

    exit_code = 2
