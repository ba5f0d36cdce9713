"""What can go wrong while rendering.

    RenderError
    ├── UnsupportedError    the spec is valid, but this platform cannot carry it out
    │   └── NoPriceError    a budget of money, and a model whose price nobody says
    └── SettingsError       the platform's settings are not valid

The message is one sentence that says what to change; the operator shows it as `Accepted=False`.
"""

from collections.abc import Iterable

from agent_api.problems import Problem


class RenderError(Exception):
    """Base of this package's errors."""


class UnsupportedError(RenderError):
    """Raised when the spec asks for what the platform's settings do not offer."""


class NoPriceError(UnsupportedError):
    """Raised for a budget of money that would refuse calls, since what they cost is not known."""

    def __init__(self, routes: Iterable[str]) -> None:
        super().__init__(
            f"llm.budget.usdPerDay: no price is known for {', '.join(routes)}; "
            "add it to `prices` in the platform's settings"
        )


class SettingsError(RenderError):
    """Raised for a settings document that is not valid; `problems` has every fault."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.field}: {p.message}" if p.field else p.message for p in self.problems))
