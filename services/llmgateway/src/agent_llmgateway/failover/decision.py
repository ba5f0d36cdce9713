"""What follows a failed try: the table "What a failure means" of docs/reference/llmgateway.md, as a pure function."""

from dataclasses import dataclass
from typing import Final

from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import Failure

RETRIES: Final = {Cause.SERVER: 1, Cause.UNAVAILABLE: 1, Cause.BROKEN: 1, Cause.RATE_LIMIT: 32}
"""Further tries of the same route by cause; for a told wait the bounds of provider and request are enough."""


@dataclass(frozen=True, slots=True)
class NextKey:
    """The same route at once, with another key."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The same route and key after `wait_s`."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class NextRoute:
    """Nothing more of this route."""


@dataclass(frozen=True, slots=True)
class Return:
    """The failure goes to the client as it came."""


Decision = NextKey | Retry | NextRoute | Return


@dataclass(frozen=True, slots=True)
class RouteMemory:
    """What a request knows of the route that failed. Waits are in seconds.

    `retries` counts former failures of the route with the same cause, `longest_wait_s` is what a told wait may take.
    """

    retries: int
    may_try: bool
    has_other_key: bool
    is_last: bool
    backoff_s: float
    longest_wait_s: float
    route_content_filter: bool = False


def decide(memory: RouteMemory, failure: Failure) -> Decision:
    """What is done next."""
    cause = failure.cause
    if cause is Cause.REFUSED or (cause is Cause.FILTER and not memory.route_content_filter):
        return Return()
    if not memory.may_try:
        return NextRoute()
    if cause in (Cause.KEY, Cause.STATE, Cause.RATE_LIMIT) and memory.has_other_key:
        return NextKey()
    if memory.retries >= RETRIES.get(cause, 0):
        return NextRoute()
    told_s = failure.retry_after_s
    if cause is Cause.RATE_LIMIT and told_s is None and not memory.is_last:
        return NextRoute()
    wait_s = memory.backoff_s if told_s is None else told_s
    return Retry(wait_s) if wait_s <= memory.longest_wait_s else NextRoute()
