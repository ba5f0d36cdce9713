"""What goes between servers and clients unasked: that a list changed, that a resource did, and how much is logged.

A listener that is slow finds what it has missed as one: nothing queues up, however often a server says something.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final, Literal

from agent_toolproxy.errors import TooManySubscriptions
from agent_toolproxy.mcp.messages import LOG_LEVELS
from agent_toolproxy.offers.directory import Place

Kind = Literal["tools", "prompts", "resources"]
MOST_URIS: Final = 100
"""That one client may watch."""
MOST_WATCHED: Final = 1000
"""That all clients may watch together."""


class Announcements:
    """Says that a list is another one."""

    def __init__(self) -> None:
        self._counts: Counter[Kind] = Counter()
        self._wake = asyncio.Event()

    def announce(self, kind: Kind) -> None:
        """The list of `kind` changed."""
        self._counts[kind] += 1
        self._wake.set()
        self._wake = asyncio.Event()

    def follow(self) -> AsyncIterator[list[Kind]]:
        """The kinds whose lists changed, from this call on; changes meanwhile are one."""
        return self._changes_after(Counter(self._counts))

    async def _changes_after(self, seen: Counter[Kind]) -> AsyncIterator[list[Kind]]:
        while True:
            while seen == self._counts:
                await self._wake.wait()
            changed = [kind for kind, count in self._counts.items() if count != seen[kind]]
            seen = Counter(self._counts)
            yield changed


class Subscriber:
    """One client's stream or session: the resources that it watches, and which of them changed."""

    def __init__(self) -> None:
        self.watched: dict[str, Place] = {}
        """By the URI as the client gave it."""
        self._updated: dict[str, None] = {}
        self._wake = asyncio.Event()

    def take(self, uri: str) -> None:
        """The client's resource `uri` changed."""
        self._updated[uri] = None
        self._wake.set()

    async def next(self) -> list[str]:
        """The URIs that changed since the last time, when there are some."""
        await self._wake.wait()
        self._wake.clear()
        updated, self._updated = list(self._updated), {}
        return updated


class Signals:
    """Between the servers and the clients."""

    def __init__(self) -> None:
        self.announcements = Announcements()
        self.log_level: str | None = None
        """The most verbose level that a client has asked for; handshake servers have one for everybody."""
        self._subscribers: dict[Subscriber, None] = {}
        self._changed = asyncio.Event()

    def want_log(self, level: str) -> None:
        """Have servers log at least from `level` on."""
        if self.log_level is None or LOG_LEVELS.index(level) < LOG_LEVELS.index(self.log_level):
            self.log_level = level
            self._change()

    def subscribe(self, subscriber: Subscriber, uri: str, place: Place) -> None:
        """Raises TooManySubscriptions."""
        total = sum(len(each.watched) for each in self._subscribers)
        if uri not in subscriber.watched and (len(subscriber.watched) >= MOST_URIS or total >= MOST_WATCHED):
            raise TooManySubscriptions(
                f"a client watches at most {MOST_URIS} resources, and all together at most {MOST_WATCHED}"
            )
        subscriber.watched[uri] = place
        self._subscribers[subscriber] = None
        self._change()

    def unsubscribe(self, subscriber: Subscriber, uri: str) -> None:
        """Forget one of the subscriber's resources."""
        subscriber.watched.pop(uri, None)
        self._change()

    def drop(self, subscriber: Subscriber) -> None:
        """The client is gone."""
        self._subscribers.pop(subscriber, None)
        self._change()

    def wanted(self, server: str) -> frozenset[str]:
        """The server's resources that somebody watches, by the server's own URIs."""
        places = (place for each in self._subscribers for place in each.watched.values())
        return frozenset(place.name for place in places if place.server == server)

    def tell_updated(self, server: str, uri: str) -> None:
        """Tell those who watch the server's resource, or one that it is below; nobody else learns of it."""
        for subscriber in self._subscribers:
            for shown, place in subscriber.watched.items():
                if place.server == server and _is_at_or_below(uri, place.name):
                    subscriber.take(shown)

    async def wait_for(self, other: Callable[[], bool], timeout_s: float) -> None:
        """Return when something is wanted from servers so that `other` holds, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while not other():
                    await self._changed.wait()
        except TimeoutError:
            return

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _is_at_or_below(uri: str, watched: str) -> bool:
    return uri == watched or uri.startswith(f"{watched.rstrip('/')}/")
