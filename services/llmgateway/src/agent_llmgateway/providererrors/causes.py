"""Why a try failed, by what has to be done about it."""

from enum import StrEnum
from typing import Final

from agent_api.gatewayreport import KEY_REFUSED


class Cause(StrEnum):
    """Why a try failed, by what has to be done about it."""

    KEY = KEY_REFUSED
    """401, 402, 403, or words about billing, credit, quota or the key: this key is of no use for this request."""
    STATE = "state_not_found"
    """The request refers to a response, thoughts or a file that this key's account does not have."""
    RATE_LIMIT = "rate_limited"
    SERVER = "server_error"
    """500: once more at the same provider."""
    UNAVAILABLE = "unavailable"
    """Other 5xx, and anything of the network before the answer began."""
    BROKEN = "broken_answer"
    """An answer that was cut, or is not what its dialect says."""
    SILENT = "silent"
    """Nothing came within the limit."""
    SLOW = "slow"
    """The provider has begun to answer, and its first output did not come within the limit."""
    CONTEXT = "context_length"
    FILTER = "content_filter"
    UNSUITED = "unsuited"
    """404, 409 and their like, or what this model cannot do: another route may."""
    REFUSED = "refused"
    """Another 4xx: returned to the client."""
    NOT_CARRIED = "not_carried"
    """The request cannot be translated for this route, or the route does not serve it."""
    SKIPPED = "breaker_open"
    """Not tried: its breaker is open."""


HEALTHY: Final = frozenset({Cause.CONTEXT, Cause.FILTER, Cause.REFUSED, Cause.STATE})
"""The provider works; it is the request that it will not have."""
NEUTRAL: Final = frozenset({Cause.SLOW, Cause.UNSUITED})
"""Says nothing about whether the provider works."""
RETURNED_AT_LAST: Final = frozenset({Cause.UNSUITED, Cause.STATE})
"""Returned as it came when the first route said it and no other one answered."""
