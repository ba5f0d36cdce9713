"""Lists and watches of a real API server, and of one behind a broken network."""

import asyncio

from integration.kube.following import following
from integration.kube.proxies import TcpProxy
from libs.kube.tests.kinds import (
    CONFIG_MAPS,
    WIDGETS,
    config_map,
    config_maps,
    widget,
    widgets,
)
from libs.kube.tests.kinds import (
    eventually as locally,
)

from agent_kube import (
    Access,
    Client,
    ObjectKey,
    Store,
    WatchSettings,
)


async def test_pages_then_follows(client: Client, namespace: str) -> None:
    for number in range(5):
        await client.create(CONFIG_MAPS, config_map(f"c{number}", namespace, a="1"))
    store = Store(config_maps(), (namespace,))
    async with following(client, store, namespace, settings=WatchSettings(page_size=2)) as outcomes:
        await locally(lambda: store.synced)
        assert store.get(ObjectKey(namespace, "c4")) is not None
        await client.create(CONFIG_MAPS, config_map("late", namespace))
        await locally(lambda: store.get(ObjectKey(namespace, "late")))
        await client.delete(CONFIG_MAPS, ObjectKey(namespace, "c0"))
        await locally(lambda: store.get(ObjectKey(namespace, "c0")) is None)
    assert outcomes == ["listed"]


async def test_watch_list_streams_the_initial_state(client: Client, namespace: str) -> None:
    for number in range(5):
        await client.create(WIDGETS, widget(f"w{number}", namespace))
    store = Store(widgets(), (namespace,))
    async with following(client, store, namespace, settings=WatchSettings(stream_lists=True)) as outcomes:
        await locally(lambda: store.synced)
        assert len(store) == 5
        await client.create(WIDGETS, widget("late", namespace))
        await locally(lambda: len(store) == 6)
    assert outcomes == []


async def test_lifetime_of_a_watch_ends_and_it_resumes(client: Client, namespace: str) -> None:
    store = Store(config_maps(), (namespace,))
    settings = WatchSettings(timeout_s=(1, 1))
    async with following(client, store, namespace, settings=settings) as outcomes:
        await locally(lambda: outcomes.count("ended") >= 2)
        await client.create(CONFIG_MAPS, config_map("late", namespace))
        await locally(lambda: store.get(ObjectKey(namespace, "late")))
    assert outcomes.count("listed") == 1


async def test_dead_network_without_a_fin_is_noticed(access: Access, client: Client, namespace: str) -> None:
    store = Store(config_maps(), (namespace,))
    async with TcpProxy(access.server) as proxy, Client(_through(access, proxy)) as fragile:
        settings = WatchSettings(silence_s=1.0)
        async with following(fragile, store, namespace, settings=settings) as outcomes:
            await locally(lambda: store.synced)
            await asyncio.sleep(0.2)
            proxy.freeze()
            await client.create(CONFIG_MAPS, config_map("late", namespace))
            await locally(lambda: "DeadlineExceeded" in outcomes)
            proxy.thaw()
            await locally(lambda: store.get(ObjectKey(namespace, "late")))


async def test_resets_are_survived(access: Access, client: Client, namespace: str) -> None:
    store = Store(config_maps(), (namespace,))
    async with (
        TcpProxy(access.server) as proxy,
        Client(_through(access, proxy)) as fragile,
        following(fragile, store, namespace),
    ):
        for number in range(5):
            await asyncio.sleep(0.1)
            proxy.reset()
            await client.create(CONFIG_MAPS, config_map(f"c{number}", namespace))
        await locally(lambda: len([o for o in store.items() if o.metadata.name.startswith("c")]) == 5)


def _through(access: Access, proxy: TcpProxy) -> Access:
    return Access(proxy.url, access.credentials, access.tls)
