"""Who keeps taking fields of applied objects, so that a fight can be ended by the one who reads of it.

One change is drift, and is undone without a word. From the second within `LASTS_S` on it is a contest, with the name
of the field manager that wrote last.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

LASTS_S: Final = 600.0
MOST: Final = 4096


@dataclass(frozen=True, slots=True)
class Contest:
    """`manager` has taken fields of an object `times` times lately."""

    manager: str
    times: int


@dataclass(slots=True)
class _Taken:
    manager: str = ""
    at: list[float] = field(default_factory=list)


class Contests:
    """By uid of the object. What was not seen for `LASTS_S` is forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: OrderedDict[str, _Taken] = OrderedDict()

    def note(self, uid: str, manager: str) -> None:
        """Fields of the object were taken by `manager`, "" when the server does not say."""
        taken = self._taken.setdefault(uid, _Taken())
        taken.manager = manager or taken.manager
        taken.at = [*taken.at[-8:], self._clock()]
        self._taken.move_to_end(uid)
        while len(self._taken) > MOST:
            self._taken.popitem(last=False)

    def of(self, uid: str) -> Contest | None:
        """The contest about an object, None when there was at most one change lately."""
        taken = self._taken.get(uid)
        if taken is None:
            return None
        since = self._clock() - LASTS_S
        taken.at = [at for at in taken.at if at >= since]
        if not taken.at:
            del self._taken[uid]
        return Contest(taken.manager or "another program", len(taken.at)) if len(taken.at) > 1 else None


def last_writer(entries: Sequence[Mapping[str, Any]], manager: str) -> str:
    """The manager other than `manager` that wrote the object itself last, by its managedFields."""
    others = [e for e in entries if e.get("manager") != manager and e.get("subresource", "") in {"", "scale"}]
    newest = max(others, key=lambda entry: str(entry.get("time", "")), default=None)
    return str(newest.get("manager", "")) if newest else ""
