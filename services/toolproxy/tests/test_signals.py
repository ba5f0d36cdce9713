import asyncio

import pytest

from agent_toolproxy.errors import TooManySubscriptions
from agent_toolproxy.offers.directory import Place
from agent_toolproxy.tools.servers.signals import MOST_URIS, MOST_WATCHED, Announcements, Signals, Subscriber


async def test_what_a_slow_listener_missed_is_one_announcement() -> None:
    announcements = Announcements()
    changes = announcements.follow()
    for _ in range(1000):
        announcements.announce("tools")
    announcements.announce("prompts")
    assert sorted(await anext(changes)) == ["prompts", "tools"]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(changes)


async def test_an_update_is_told_to_those_who_watch_it_once() -> None:
    signals, watcher, other = Signals(), Subscriber(), Subscriber()
    signals.subscribe(watcher, "up+note://a", Place("up", "note://a"))
    signals.subscribe(other, "note://a", Place("other", "note://a"))
    for uri in ("note://a", "note://a/below", "note://a", "note://ab", "note://"):
        signals.tell_updated("up", uri)
    assert await watcher.next() == ["up+note://a"]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await other.next()


def test_servers_are_asked_for_what_somebody_watches() -> None:
    signals, one, other = Signals(), Subscriber(), Subscriber()
    for subscriber in (one, other):
        signals.subscribe(subscriber, "a://1", Place("up", "a://1"))
    signals.subscribe(one, "a://2", Place("up", "a://2"))
    signals.unsubscribe(one, "a://2")
    signals.drop(one)
    assert signals.wanted("up") == {"a://1"}
    assert signals.wanted("other") == set()
    signals.drop(other)
    assert signals.wanted("up") == set()


def test_nobody_watches_more_than_there_may_be() -> None:
    signals = Signals()
    for client in range(MOST_WATCHED // MOST_URIS):
        subscriber = Subscriber()
        for number in range(MOST_URIS):
            signals.subscribe(subscriber, f"a://{client}/{number}", Place("up", f"a://{client}/{number}"))
        with pytest.raises(TooManySubscriptions):
            signals.subscribe(subscriber, "a://more", Place("up", "a://more"))
        signals.subscribe(subscriber, f"a://{client}/1", Place("up", "again"))
    with pytest.raises(TooManySubscriptions):
        signals.subscribe(Subscriber(), "a://x", Place("up", "a://x"))


async def test_the_most_verbose_level_wins_and_wakes_those_who_ask_servers() -> None:
    signals = Signals()
    waiting = asyncio.create_task(signals.wait_for(lambda: signals.log_level == "debug", 30))
    await asyncio.sleep(0)
    for level in ("warning", "debug", "error"):
        signals.want_log(level)
    assert signals.log_level == "debug"
    async with asyncio.timeout(5):
        await waiting
    await signals.wait_for(lambda: False, 0.01)
