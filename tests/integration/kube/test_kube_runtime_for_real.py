"""A whole operator against a real API server that fails in every way a proxy or a restart can make it fail."""

import asyncio
import itertools
import random
from collections.abc import Callable

import pytest
from aiohttp import web
from integration.kube.cluster import Cluster, eventually, list_names
from integration.kube.proxies import HttpProxy, ProxyHandler, TcpProxy
from integration.kube.widget_operator import disturb, operating, settled
from libs.kube.tests.kinds import (
    WIDGETS,
    widget,
)
from libs.kube.tests.kinds import eventually as locally

from agent_kube import (
    Access,
    Client,
    FixedCredentials,
    LeadershipLost,
    LeaseTimes,
    ObjectKey,
    open_access,
)
from agent_kube.resources import EVENTS, LEASES

PATIENT = LeaseTimes(lease_s=60, renew_deadline_s=50)  # where losing the lease is not the question


async def test_steady_state_writes_nothing(access: Access, client: Client, namespace: str) -> None:
    async with HttpProxy(access) as proxy, operating(_plain(proxy), namespace) as (operator, _):
        sizes = await disturb(client, namespace)
        await eventually(lambda: settled(client, namespace, sizes))
        await operator.recorder.flush()
        await asyncio.sleep(1)
        proxy.calls.clear()
        [controller] = operator.runtime._controllers
        before = operator.passes
        for _ in range(50):
            for name in sizes:
                controller.enqueue(ObjectKey(namespace, name))
            await asyncio.sleep(0.02)
        await locally(lambda: operator.passes >= before + 50)
        writes = [(method, path) for method, path in proxy.calls if method != "GET" and "/leases/" not in path]
        assert [path for _, path in writes if "/events" not in path] == []


def _plain(proxy: HttpProxy) -> Access:
    return Access(proxy.url, FixedCredentials())


def answer(code: int, **headers: str) -> ProxyHandler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        status = {"kind": "Status", "code": code, "message": "injected", "reason": "Injected"}
        return web.json_response(status, status=code, headers=headers)

    return handler


async def html(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")


async def reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


def one_of(count: int, handlers: list[ProxyHandler]) -> Callable[[web.Request], ProxyHandler | None]:
    """By chance one of `count` calls meets the next handler; elections are spared, since they are tested apart."""
    chance, turns = random.Random(1), itertools.cycle(handlers)  # noqa: S311 - the same trouble each time

    def choose(request: web.Request) -> ProxyHandler | None:
        if "/leases" in request.path or chance.randrange(count):
            return None
        return next(turns)

    return choose


@pytest.mark.parametrize(
    "handlers",
    [
        [answer(409)],
        [answer(429, **{"Retry-After": "1"})],
        [answer(500), answer(503)],
        [answer(410)],
        [html],
        [reset],
        [hang],
        [answer(409), answer(429), answer(500), answer(410), html, reset, answer(504), answer(401)],
    ],
    ids=["409", "429", "5xx", "410", "html", "reset", "hang", "all"],
)
async def test_same_end_state_through_trouble(
    access: Access, client: Client, namespace: str, handlers: list[ProxyHandler]
) -> None:
    async with HttpProxy(access) as proxy:
        proxy.trouble = one_of(5, handlers)
        async with operating(_plain(proxy), namespace, times=PATIENT) as (_, task):
            sizes = await disturb(client, namespace)
            await eventually(lambda: settled(client, namespace, sizes), timeout_s=100)
            assert not task.done()


async def lose_answer(proxy: HttpProxy, request: web.Request) -> web.StreamResponse:
    """The server does it, the client never hears of it."""
    await proxy.forward(request)
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_writes_whose_answers_are_lost(access: Access, client: Client, namespace: str) -> None:
    async with HttpProxy(access) as proxy:
        counter = itertools.count(1)

        def choose(request: web.Request) -> ProxyHandler | None:
            if request.method == "PATCH" and next(counter) % 3 == 0:
                return lambda lost: lose_answer(proxy, lost)
            return None

        proxy.trouble = choose
        async with operating(_plain(proxy), namespace, times=PATIENT):
            sizes = await disturb(client, namespace)
            await eventually(lambda: settled(client, namespace, sizes), timeout_s=60)


async def test_resets_and_a_dead_network_at_tcp(access: Access, client: Client, namespace: str) -> None:
    async with TcpProxy(access.server) as proxy:
        through = Access(proxy.url, access.credentials, access.tls)
        async with operating(through, namespace, times=PATIENT) as (operator, task):
            await locally(lambda: operator.stores.synced)
            trouble = asyncio.create_task(_shake(proxy))
            sizes = await disturb(client, namespace)
            await trouble
            await eventually(lambda: settled(client, namespace, sizes), timeout_s=60)
            assert not task.done()


async def _shake(proxy: TcpProxy) -> None:
    for _ in range(5):
        await asyncio.sleep(0.15)
        proxy.reset()
    proxy.freeze()
    await asyncio.sleep(1.5)
    proxy.thaw()


async def test_killed_at_any_moment_and_started_again(access: Access, client: Client, namespace: str) -> None:
    sizes = {f"w{number}": number for number in range(8)}
    for name, size in sizes.items():
        await client.create(WIDGETS, widget(name, namespace, size=size))
    for moment_s in (0.05, 0.1, 0.15, 0.2, 0.3):
        async with operating(access, namespace) as (operator, task):
            await locally(lambda operator=operator: operator.passes)  # type: ignore[misc]
            await asyncio.sleep(moment_s)
            task.cancel()
            await asyncio.wait([task])
    async with operating(access, namespace):
        await eventually(lambda: settled(client, namespace, sizes))


async def test_restarted_api_server(own_cluster: Cluster) -> None:
    access = await open_access({"KUBECONFIG": str(own_cluster.kubeconfig)})
    namespace = "default"
    async with Client(access) as client, operating(access, namespace, times=PATIENT) as (operator, task):
        sizes = {"restart-a": 1, "restart-b": 2}
        await client.create(WIDGETS, widget("restart-a", namespace, size=1))
        await locally(lambda: operator.passes)
        await asyncio.to_thread(own_cluster.command, "restart", "--signal", "KILL", "kube-apiserver")
        await eventually(lambda: client.create(WIDGETS, widget("restart-b", namespace, size=2)))
        await eventually(lambda: settled(client, namespace, sizes), timeout_s=60)
        assert not task.done()
        for name in sizes:
            await client.delete(WIDGETS, ObjectKey(namespace, name))


async def test_frozen_api_server_costs_the_lease_and_nothing_else(own_cluster: Cluster) -> None:
    """STOP: connections stay, nothing answers. The leader gives up in time; after CONT the other one leads."""
    access = await open_access({"KUBECONFIG": str(own_cluster.kubeconfig)})
    lock = ObjectKey("default", "lock")
    async with operating(access, "default") as (_one, first), Client(access) as client:
        await eventually(lambda: _holder(client, lock, "one"))
        try:
            await asyncio.to_thread(own_cluster.command, "signal", "STOP", "kube-apiserver")
            await asyncio.wait([first], timeout=30)
            with pytest.raises(LeadershipLost):
                first.result()
        finally:
            await asyncio.to_thread(own_cluster.command, "signal", "CONT", "kube-apiserver")
        async with operating(access, "default", "two") as (_two, second):
            await eventually(lambda: _holder(client, lock, "two"))
            assert not second.done()


async def _holder(client: Client, lock: ObjectKey, wanted: str) -> bool:
    lease = await client.get(LEASES, lock)
    holder: str = lease["spec"].get("holderIdentity", "")
    return holder == wanted


async def test_two_instances_one_leader_and_a_quick_takeover(access: Access, client: Client, namespace: str) -> None:
    async with (
        operating(access, namespace, "one", times=PATIENT) as (one, first),
        operating(access, namespace, "two", times=PATIENT) as (two, second),
    ):
        await client.create(WIDGETS, widget("a", namespace))
        await eventually(lambda: settled(client, namespace, {"a": 1}))
        assert bool(one.passes) != bool(two.passes)
        leader, standby, task = (one, two, first) if one.passes else (two, one, second)
        assert standby.stores.synced
        leader.stop.set()
        await asyncio.wait([task])
        started = asyncio.get_running_loop().time()
        await client.create(WIDGETS, widget("b", namespace))
        await eventually(lambda: settled(client, namespace, {"a": 1, "b": 1}))
        assert asyncio.get_running_loop().time() - started < PATIENT.lease_s / 2  # it did not wait for the lease to end
        lease = await client.get(LEASES, ObjectKey(namespace, "lock"))
        assert lease["spec"]["leaseTransitions"] == 1


async def test_events_are_taken_and_counted(access: Access, client: Client, namespace: str) -> None:
    async with operating(access, namespace) as (operator, _):
        created = await client.create(WIDGETS, widget("w", namespace))
        await eventually(lambda: settled(client, namespace, {"w": 1}))
        found = operator.stores[operator.root].get(ObjectKey(namespace, "w"))
        assert found is not None
        for _ in range(3):
            operator.recorder.event(WIDGETS, found, "Warning", "Repeated", "Reconcile", "again")
        await operator.recorder.flush()
        names = await list_names(client, EVENTS, namespace)
        stored = [await client.get(EVENTS, ObjectKey(namespace, name)) for name in names]
    about = {event["reason"]: event for event in stored if event.get("regarding", {}).get("kind") == "Widget"}
    assert about["Synced"]["regarding"]["uid"] == created["metadata"]["uid"]
    assert about["Repeated"]["series"]["count"] == 3
