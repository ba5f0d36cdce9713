"""What one server offers beside its tools, read from it and checked."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agent_toolproxy.errors import UpstreamError
from agent_toolproxy.mcp.client import Session
from agent_toolproxy.mcp.messages import Json
from agent_toolproxy.offers.definitions import check_prompt, check_resource, check_template

_log = logging.getLogger(__name__)
_REASON_CHARS: Final = 300


@dataclass(frozen=True)
class Offer:
    """Definitions as the server has them. `completes`: it completes arguments; `subscribes`: it tells of updates."""

    resources: tuple[Json, ...] = ()
    templates: tuple[Json, ...] = ()
    prompts: tuple[Json, ...] = ()
    completes: bool = False
    subscribes: bool = False


@dataclass(frozen=True)
class _List:
    capability: str
    method: str
    key: str
    identity: str
    check: Callable[[object], Json]


_LISTS: Final = (
    _List("resources", "resources/list", "resources", "uri", check_resource),
    _List("resources", "resources/templates/list", "resourceTemplates", "uriTemplate", check_template),
    _List("prompts", "prompts/list", "prompts", "name", check_prompt),
)


@dataclass
class OfferReader:
    """Reads a server's offer again and again. A list that cannot be had is an empty one, and is logged once."""

    server: str
    _told: dict[str, str] = field(default_factory=dict)

    async def read(self, session: Session, timeout_s: float) -> Offer:
        """The offer of the moment; tools are served whatever is wrong with it."""
        resources, templates, prompts = [await self._read(session, each, timeout_s) for each in _LISTS]
        return Offer(
            resources,
            templates,
            prompts,
            completes=session.can("completions"),
            subscribes=session.can("resources", "subscribe"),
        )

    async def _read(self, session: Session, wanted: _List, timeout_s: float) -> tuple[Json, ...]:
        if not session.can(wanted.capability):
            return ()
        try:
            entries = await session.list_all(wanted.method, wanted.key, timeout_s)
        except (UpstreamError, TimeoutError) as problem:
            self._tell(wanted.method, str(problem) or "it took too long")
            return ()
        found, set_aside = judge(entries, wanted.identity, wanted.check)
        self._tell(wanted.method, "; ".join(f"{name}: {reason}" for name, reason in set_aside.items())[:_REASON_CHARS])
        return found

    def _tell(self, method: str, problem: str) -> None:
        if problem and self._told.get(method) != problem:
            _log.warning(
                "a server's list is not served whole",
                extra={"server": self.server, "method": method, "reason": problem[:_REASON_CHARS]},
            )
        self._told[method] = problem


def judge(
    entries: Sequence[Any], identity: str, check: Callable[[object], Json]
) -> tuple[tuple[Json, ...], Mapping[str, str]]:
    """The entries that can be shown, each once, and why others cannot."""
    found: dict[str, Json] = {}
    set_aside: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        try:
            definition = check(entry)
        except ValueError as error:
            set_aside[f"[{number}]"] = str(error)
        else:
            found.setdefault(definition[identity], definition)
    return tuple(found.values()), set_aside
