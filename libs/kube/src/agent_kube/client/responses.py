"""What an answer of the API server means to a controller: statuses become the errors of `errors.py`."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
import msgspec

from agent_kube.errors import (
    AlreadyExists,
    Conflict,
    DeadlineExceeded,
    Expired,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Retryable,
    ServerFault,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)

EXCERPT_CHARS = 200
FORBIDDEN_RETRY_S = 30.0

_BY_STATUS: Mapping[int, type[Retryable]] = {
    401: Unauthorized,
    404: NotFound,
    405: NotFound,  # to a create, while the definition of the kind is being removed
    409: Conflict,
    410: Expired,
    429: TooManyRequests,
}


class StatusDetails(msgspec.Struct, frozen=True, rename="camel"):
    """`details` of a Status: how long to stay away."""

    retry_after_seconds: float = 0


class Status(msgspec.Struct, frozen=True):
    """The body of an error, and the object of an ERROR event."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails | None = None


_status = msgspec.json.Decoder(Status)


def error_of(what: str, code: int, headers: Mapping[str, str], body: bytes) -> KubeError:
    """The error for an answer other than 2xx. `what` names verb and object: "patch deployments.apps a/b"."""
    status = read_status(body)
    message = f"{what}: {status.message or excerpt(body) or 'no message'} ({code})"
    after = _retry_after(headers, status)
    if code == 403:
        return Forbidden(message, retry_after_s=after or FORBIDDEN_RETRY_S)
    if status.reason == "AlreadyExists":
        return AlreadyExists(message)
    if code in _BY_STATUS:
        return _BY_STATUS[code](message, retry_after_s=after)
    if 400 <= code < 500:
        return Invalid(message)
    return ServerFault(message, retry_after_s=after)


def read_status(body: bytes) -> Status:
    """The Status in `body`, an empty one when it is something else, such as a proxy's HTML."""
    try:
        return _status.decode(body)
    except msgspec.MsgspecError:
        return Status()


def require_json(what: str, headers: Mapping[str, str], body: bytes = b"") -> None:
    """Raise ServerFault unless the answer says that it is JSON: proxies answer 200 with a page of HTML."""
    content_type = headers.get("Content-Type", "none")
    if not content_type.startswith("application/json"):
        raise ServerFault(f"{what}: the answer is {content_type}, not JSON: {excerpt(body)}".rstrip(": "))


def excerpt(body: bytes) -> str:
    """The beginning of a body in one line, for messages."""
    return " ".join(body[: EXCERPT_CHARS * 4].decode(errors="replace").split())[:EXCERPT_CHARS]


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn failures of the transport into errors of this package."""
    try:
        yield
    except TimeoutError as error:
        raise DeadlineExceeded(f"{what}: no answer in time") from error
    except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
        raise Unreachable(f"{what}: {str(error) or type(error).__name__}") from error


def _retry_after(headers: Mapping[str, str], status: Status) -> float | None:
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    return status.details.retry_after_seconds or None if status.details else None
