"""Calls of a sidecar are shown when it has signed them for this Pod and this question, and not otherwise."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from agent_api import layout
from agent_api.calls import CallsReport
from agent_api.signing import NONCE_HEADER, SIGNATURE_HEADER, Signer
from agent_kit.ops import OpsServer
from agent_render.objects.podkeys import PodKeys
from agentberth.console.access import Api
from agentberth.console.clustersource import UNVERIFIED, ClusterSource

KEYS = PodKeys("k" * 43)
POD = {
    "metadata": {"name": "a-1", "namespace": "default", "uid": "uid-1"},
    "spec": {"initContainers": [{"name": layout.LLMGATEWAY}]},
    "status": {},
}
AGENT = {"metadata": {"name": "a", "namespace": "default", "resourceVersion": "1"}, "spec": {}}


@asynccontextmanager
async def cluster(ops: str, *, config_status: int = 200, replay: bool = False) -> AsyncIterator[ClusterSource]:
    """An API server that hands requests for the Pod's port on to `ops`, as the real one does."""
    first: dict[str, Any] = {}

    async def proxy(request: web.Request) -> web.Response:
        asked = {NONCE_HEADER: request.headers.get(NONCE_HEADER, "")}
        async with aiohttp.ClientSession() as session, session.get(f"{ops}/calls", headers=asked) as answer:
            body, signature = await answer.read(), answer.headers.get(SIGNATURE_HEADER, "")
        if replay:
            body, signature = first.setdefault("it", (body, signature))
        return web.Response(body=body, headers={SIGNATURE_HEADER: signature} if signature else {})

    async def config(_: web.Request) -> web.Response:
        data = KEYS.data({layout.GATEWAY_KEY: "{}"})
        return web.json_response({"data": data, "message": "no"}, status=config_status)

    async def pods(_: web.Request) -> web.Response:
        return web.json_response({"items": [POD]})

    app = web.Application()
    port = layout.LLMGATEWAY_OPS_PORT
    app.router.add_get(f"/api/v1/namespaces/default/pods/a-1:{port}/proxy/calls", proxy)
    app.router.add_get("/api/v1/namespaces/default/configmaps/{name}", config)
    app.router.add_get("/api/v1/namespaces/default/pods", pods)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with aiohttp.ClientSession() as session:
            source = ClusterSource(Api(session, f"http://127.0.0.1:{runner.addresses[0][1]}"), "a cluster")
            source._agents[("default", "a")] = AGENT
            yield source
    finally:
        await runner.cleanup()


@asynccontextmanager
async def sidecar(signer: Signer | None) -> AsyncIterator[str]:
    async with OpsServer("127.0.0.1", 0, calls=lambda _: CallsReport(agent="a", dropped=3), signer=signer) as ops:
        yield f"http://127.0.0.1:{ops.port}"


async def test_signed_calls_are_shown() -> None:
    async with sidecar(KEYS.signer(layout.LLMGATEWAY, "uid-1")) as ops, cluster(ops) as source:
        view = await source.calls("default", "a")
    assert (view.dropped, list(view.notes)) == (3, [])


@pytest.mark.parametrize(
    "signer",
    [
        None,
        KEYS.signer(layout.LLMGATEWAY, "uid-2"),
        KEYS.signer(layout.TOOLPROXY, "uid-1"),
        PodKeys("other" * 9).signer(layout.LLMGATEWAY, "uid-1"),
    ],
    ids=["unsigned", "another Pod", "another sidecar", "another agent"],
)
async def test_calls_that_the_sidecar_has_not_signed_are_not_shown(signer: Signer | None) -> None:
    async with sidecar(signer) as ops, cluster(ops) as source:
        view = await source.calls("default", "a")
    assert view.dropped == 0
    assert "not signed by the sidecar" in "".join(view.notes)


async def test_an_answer_that_was_given_before_is_not_shown_again() -> None:
    async with sidecar(KEYS.signer(layout.LLMGATEWAY, "uid-1")) as ops, cluster(ops, replay=True) as source:
        first, second = await source.calls("default", "a"), await source.calls("default", "a")
    assert (first.dropped, second.dropped) == (3, 0)


async def test_without_the_right_to_read_the_keys_the_page_says_that_nothing_is_verified() -> None:
    async with sidecar(None) as ops, cluster(ops, config_status=403) as source:
        view = await source.calls("default", "a")
    assert (view.dropped, list(view.notes)) == (3, [UNVERIFIED])


async def test_without_the_keys_nothing_is_shown() -> None:
    async with sidecar(None) as ops, cluster(ops, config_status=404) as source:
        view = await source.calls("default", "a")
    assert view.dropped == 0
    assert "keys of the agent" in view.notes[0]
