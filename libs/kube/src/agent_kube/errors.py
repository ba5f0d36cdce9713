"""Errors by what the controller must do about them, not by where they come from.

    KubeError
    ├── Retryable               the same call may work later: back off per key, obey `retry_after_s`
    │   ├── Unreachable         no answer: refused, reset, broken TLS, name not found
    │   │   └── DeadlineExceeded    no answer in time; a write may or may not have happened
    │   ├── ServerFault         5xx, or an answer that is not JSON (a proxy's error page)
    │   ├── AnswerTooLarge      an answer exceeds what the caller would read of it
    │   ├── TooManyRequests     429
    │   ├── Unauthorized        401 with a token that was just read again
    │   ├── Conflict            409: somebody was faster, read again
    │   │   └── AlreadyExists       409 to a create
    │   ├── NotFound            404, 405: it, its namespace or its API is not there (yet, or any more)
    │   ├── Expired             410: this resourceVersion is compacted, list again
    │   ├── Forbidden           403: RBAC, quota or admission; the message names verb and resource
    │   └── Occupied            the name is taken by an object that is not ours to change
    ├── Waiting                 nothing is wrong, look again after `after_s`
    ├── Terminal                works once the object or what refuses it changes: rare retries, condition and event
    │   └── Invalid             400, 413, 415, 422: the server refuses what was sent
    ├── StreamBroken            a watch that cannot be resumed: list again
    │   ├── LineTooLong         one event exceeds the line limit
    │   └── ErrorEvent          the server ended the watch with an ERROR event
    ├── LeadershipLost          the lease could not be renewed in time: stop writing now
    ├── QueueClosed             a worker is to end; never leaves this package
    └── ConfigurationError      no usable access to a cluster; the message says what to set

aiohttp, ssl, msgspec and kubernetes_asyncio errors never leave this package.
"""
# ruff: noqa: N818  names say what to do, as the tree does

PASSING_S = 30.0  # trouble of the server's own, that ends for all objects at once
AWAY_S = 5.0  # nobody answers: a try costs nobody anything, and the status of every object is late by the pause


class KubeError(Exception):
    """Base of all errors of this package."""


class Retryable(KubeError):
    """The same call may work later.

    `retry_after_s`: the shortest pause the server asked for, or None to leave it to the back-off.
    `longest_pause_s`: where the back-off ends.
    """

    longest_pause_s = 300.0

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unreachable(Retryable):
    """No answer: refused, reset, broken TLS, name not found."""

    longest_pause_s = AWAY_S


class DeadlineExceeded(Unreachable):
    """No answer in time. A write may or may not have happened."""


class ServerFault(Retryable):
    """5xx, or an answer that is not JSON (a proxy's error page)."""

    longest_pause_s = PASSING_S


class AnswerTooLarge(Retryable):
    """An answer exceeds what the caller would read of it. Ask for less."""


class TooManyRequests(Retryable):
    """429. `retry_after_s` holds the server's Retry-After."""

    longest_pause_s = PASSING_S


class Unauthorized(Retryable):
    """401 with a token that was just read again."""


class Conflict(Retryable):
    """409: somebody was faster. Read again, decide again."""

    longest_pause_s = PASSING_S


class AlreadyExists(Conflict):
    """409 to a create: there is an object of this name, perhaps not the one that was meant."""


class NotFound(Retryable):
    """404, 405: the object, its namespace or its API is not there (yet, or any more)."""


class Expired(Retryable):
    """410: this resourceVersion or continue token is compacted. List again."""


class Forbidden(Retryable):
    """403 from RBAC, quota or admission. Retried slowly: an administrator can lift it without touching the object."""


class Occupied(Retryable):
    """The name is taken by an object that another controller owns or that this operator did not make."""


class Waiting(KubeError):
    """Nothing is wrong, something is not there yet. Look again after `after_s` seconds."""

    def __init__(self, message: str, *, after_s: float) -> None:
        super().__init__(message)
        self.after_s = after_s


class Terminal(KubeError):
    """Refused as it is: retried rarely, in case that what refuses it is mended; shown as a condition and an event."""


class Invalid(Terminal):
    """The server refuses what was sent: schema, CEL rule, immutable field, unknown media type."""


class StreamBroken(KubeError):
    """A watch that cannot be resumed: list again."""


class LineTooLong(StreamBroken):
    """One event exceeds the limit of a line. A list has no such limit."""


class ErrorEvent(StreamBroken):
    """The server ended the watch with an ERROR event, most often 410 Gone."""


class LeadershipLost(KubeError):
    """The lease could not be renewed in time: another instance may lead now."""


class QueueClosed(KubeError):
    """The queue takes no more keys: the worker is to end."""


class ConfigurationError(KubeError):
    """No usable access to a cluster. The message says what to set."""


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first real error in a group of groups: what a TaskGroup failed with."""
    first = group.exceptions[0]
    return first_error(first) if isinstance(first, BaseExceptionGroup) else first
