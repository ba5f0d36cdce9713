"""What can go wrong while rendering.

    RenderError
    ├── UnsupportedError    the spec is valid, but this platform cannot carry it out
    └── SettingsError       the platform's settings are not valid

The message is one sentence that says what to change; the operator shows it as `Accepted=False`.
"""

from collections.abc import Iterable

from agent_api.problems import Problem


class RenderError(Exception):
    """Base of this package's errors."""


class UnsupportedError(RenderError):
    """Raised when the spec asks for what the platform's settings do not offer."""


class SettingsError(RenderError):
    """Raised for a settings document that is not valid; `problems` has every fault."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.field}: {p.message}" if p.field else p.message for p in self.problems))
