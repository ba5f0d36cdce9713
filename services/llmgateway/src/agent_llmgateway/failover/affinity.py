"""Which of a provider's keys has made what a conversation refers to."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from agent_llmgateway.upstream.keys import Key

MOST_STATES: Final = 65_536
"""Of all providers; the ones used longest ago are forgotten first."""


class KeyAffinity:
    """Remembers keys by their marks, for the life of the process. A state that is not known may be any key's."""

    def __init__(self) -> None:
        self._marks: OrderedDict[tuple[str, bytes], str] = OrderedDict()

    def note(self, provider: str, states: Iterable[bytes], mark: str) -> None:
        """`mark` has made `states`, or could read them."""
        for state in states:
            self._marks[provider, state] = mark
            self._marks.move_to_end((provider, state))
        while len(self._marks) > MOST_STATES:
            self._marks.popitem(last=False)

    def find(self, provider: str, states: Sequence[bytes]) -> str | None:
        """The mark of the key that made the newest of `states`."""
        return next((mark for state in reversed(states) if (mark := self._marks.get((provider, state)))), None)


def by_cache_key(keys: tuple[Key, ...], cache_key: bytes) -> tuple[Key, ...]:
    """`keys` in an order that every replica and every turn finds again, so that a provider's prompt cache is hit."""
    return tuple(sorted(keys, key=lambda key: hashlib.blake2b(cache_key, key=key.mark.encode()).digest()))
