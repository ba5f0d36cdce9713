"""The errors of the gateway.

GatewayError
├── ConfigError               gateway.json or a mock's script cannot be used; also a ValueError, for the watcher
├── RefusalError              the gateway itself says no; shown to the client in its dialect
│   ├── BadRequestError       400: not a request of this dialect
│   ├── NotCarriedError       400: a named field that the route's dialect has no place for
│   ├── UnknownModelError     404
│   ├── UnknownPathError      404
│   ├── UnknownMethodError    405
│   ├── NotJsonError          415
│   ├── TooSlowError          408
│   ├── NotAdmittedError      401, 403 or 421: not the agent of this Pod or run
│   ├── UpgradeError          426: a WebSocket, which the gateway does not speak
│   ├── TooLargeError         413
│   ├── BusyError             503: the memory for requests is in use
│   └── OverBudgetError       429 with the seconds to the next window
├── MalformedEventError       an event of a stream that is not what the dialect says; skipped and counted
├── AttemptError              one try of one route, with its `Failure`
├── ReturnedError             a provider's refusal that goes to the client as it is
└── AllRoutesError            with what each attempt said
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from agent_llmgateway.providererrors.attempt import AttemptRecord
    from agent_llmgateway.providererrors.classify import Failure


class GatewayError(Exception):
    """Root of the gateway's errors. `str()` is fit for the agent's eyes."""


class ConfigError(GatewayError, ValueError):
    """A configuration that cannot be used; says which field and what is allowed."""


class RefusalError(GatewayError):
    """The gateway's own refusal. `kind` and `code` are the words of OpenAI's errors; dialects map them."""

    status = 400
    kind = "invalid_request_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        self.message = message
        self.code = code
        self.param = param
        self.retry_after_s: float | None = None
        super().__init__(message)


class BadRequestError(RefusalError):
    """Not a request of this dialect."""


class NotCarriedError(RefusalError):
    """`param` of the request has no counterpart in the dialect of the only provider that could answer."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message, code="not_carried", param=param)


class UnknownModelError(RefusalError):
    """No alias, no provider and no model of that name."""

    status = 404

    def __init__(self, model: str, known: Sequence[str]) -> None:
        shown = ", ".join(known[:16]) or "none"
        super().__init__(
            f"The model `{model[:128]}` does not exist here; models: {shown}", code="model_not_found", param="model"
        )


class UnknownPathError(RefusalError):
    """A path that the gateway does not serve."""

    status = 404
    kind = "not_found_error"

    def __init__(self, message: str) -> None:
        super().__init__(message, code="unknown_path")


class UnknownMethodError(RefusalError):
    """A path that the gateway serves, with a method that it does not."""

    status = 405

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"{method[:32]} is not allowed here: use {allowed}", code="unknown_method")
        self.allowed = allowed


class NotJsonError(RefusalError):
    """The body is not declared as JSON, as a form or a script of a web page would not be."""

    status = 415

    def __init__(self) -> None:
        super().__init__("The header Content-Type must be application/json", code="unsupported_media_type")


class TooSlowError(RefusalError):
    """The body did not arrive in time."""

    status = 408
    kind = "timeout_error"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The request did not arrive within {seconds:g} s", code="request_timeout")


class NotAdmittedError(RefusalError):
    """The request is not from the agent of this Pod or run."""

    def __init__(self, why: Literal["host", "origin", "token"]) -> None:
        self.status, self.kind, code, message = _NOT_ADMITTED[why]
        super().__init__(message, code=code)


_NOT_ADMITTED: Final = {
    "host": (421, "invalid_request_error", "host_refused", "This Host is not served here"),
    "origin": (403, "permission_error", "origin_refused", "Web pages are not served: the header Origin is refused"),
    "token": (
        401,
        "authentication_error",
        "invalid_api_key",
        "The key of this request is not the agent's: send the value of OPENAI_API_KEY that the platform sets",
    ),
}


class UpgradeError(RefusalError):
    """A client that asks for a WebSocket, as Codex does first: it goes on without one at once."""

    status = 426

    def __init__(self) -> None:
        super().__init__("WebSockets are not spoken here: send an HTTP request", code="upgrade_required")


class TooLargeError(RefusalError):
    """The request is over `limits.bodyBytes`."""

    status = 413
    kind = "request_too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request is larger than {limit_bytes} bytes", code="request_too_large")


class BusyError(RefusalError):
    """Other requests hold the memory that this one needs."""

    status = 503
    kind = "overloaded_error"

    def __init__(self, waited_s: float) -> None:
        super().__init__(f"Other requests have held the gateway's memory for {waited_s:g} s", code="gateway_busy")
        self.retry_after_s = 1.0


class OverBudgetError(RefusalError):
    """The agent has spent what it may spend in this window."""

    status = 429
    kind = "budget_exceeded"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message, code="budget_exceeded")
        self.retry_after_s = retry_after_s


class BudgetUnavailableError(OverBudgetError):
    """What the agent may still spend is with the operator, or cannot be written down."""

    kind = "budget_unavailable"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message, retry_after_s)
        self.code = "budget_unavailable"


class MalformedEventError(GatewayError):
    """The data of a stream's event cannot be decoded."""


class AttemptError(GatewayError):
    """One try ended without an answer."""

    def __init__(self, failure: "Failure") -> None:
        self.failure = failure
        super().__init__(failure.message)


class ReturnedError(GatewayError):
    """A refusal that another provider would not change."""

    def __init__(self, failure: "Failure", provider: str, attempts: "Sequence[AttemptRecord]") -> None:
        self.failure = failure
        self.provider = provider
        self.attempts = tuple(attempts)
        super().__init__(failure.message)


class AllRoutesError(GatewayError):
    """No route answered. `first` is the first route's failure, `wait_s` the shortest wait that was told."""

    def __init__(self, first: "Failure", attempts: "Sequence[AttemptRecord]", wait_s: float | None) -> None:
        self.first = first
        self.attempts = tuple(attempts)
        self.wait_s = wait_s
        super().__init__(first.message)
