"""The errors of the kit.

    KitError
    ├── SettingsError    a flag or variable is missing or not allowed; exit code 2
    ├── ListenError      the ops server cannot have its address; exit code 1
    ├── TokenError       a token file cannot be used; exit code 1
    ├── EventTooLargeError  a stream of server-sent events has one over the limit
    └── WatchError       the newest content of a watched path is missing, too large or bad; held, never raised

Every message is one a person can act on without a traceback.
"""

from collections.abc import Iterable


class KitError(Exception):
    """Root of the kit's errors. `str()` is fit for an operator's eyes and holds no secret."""


class SettingsError(KitError):
    """Settings that cannot be used. `problems` has one line each; `str()` joins them by line breaks."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class ListenError(KitError):
    """The ops server's address is taken, not ours, or not an address."""


class WatchError(KitError):
    """Why the newest content of a watched file or folder is not in use."""


class TokenError(KitError):
    """A token file that is there and cannot be used: nobody is served rather than everybody."""


class EventTooLargeError(KitError):
    """One event of a stream is larger than its reader allows: the other side has gone wrong, or means harm."""
