"""What a sidecar has found out about the agent's memory; part of its report."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field

from agent_api.model import LARGEST_INTEGER, Report

ROOM_LEFT = 0.05


class MemoryReport(Report):
    """The agent's Redis as one sidecar sees it. Figures are None where the server does not tell them."""

    reachable: bool
    error: str = Field(default="", description="Why it cannot be reached.")
    used_bytes: int | None = None
    max_bytes: int | None = Field(default=None, description="Where eviction or refusal begins; 0 is no bound.")
    keys: int | None = Field(default=None, description="In the database of the url.")
    evicted_keys: int | None = Field(default=None, description="Since the server's start.")
    eviction_policy: str = ""
    full: bool = Field(
        default=False,
        description="True while nothing is evicted to make room, and less than a twentieth of it is left.",
    )

    @classmethod
    def of(cls, info: Mapping[str, Any], keys: int | None) -> "MemoryReport":
        """From the fields of Redis' INFO, texts or numbers; a server may leave any of them out."""
        used, most = _number(info.get("used_memory")), _number(info.get("maxmemory"))
        policy = str(info.get("maxmemory_policy", ""))
        counted = (used or 0) - (_number(info.get("mem_not_counted_for_evict")) or 0)
        return cls(
            reachable=True,
            used_bytes=used,
            max_bytes=most,
            keys=keys,
            evicted_keys=_number(info.get("evicted_keys")),
            eviction_policy=policy,
            full=bool(most) and _is_full(policy, counted / (most or 1)),
        )


def _is_full(policy: str, share: float) -> bool:
    """A write counts while it is looked at, so a large one is refused a little before the bound."""
    if policy == "noeviction":
        return share > 1 - ROOM_LEFT
    return policy.startswith("volatile") and share > 1


_MOST_DIGITS: Final = 100


def _number(value: object) -> int | None:
    text = str(value)
    return min(int(text), LARGEST_INTEGER) if text.isdecimal() and len(text) <= _MOST_DIGITS else None
