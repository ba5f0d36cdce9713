"""The kubelet's questions to a console in a cluster: on a port of their own, as the page listens on loopback alone."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from agentberth.errors import CommandError


@asynccontextmanager
async def answering_probes(port: int, is_ready: Callable[[], bool]) -> AsyncIterator[int]:
    """Serves /livez and /readyz on all addresses; gives the port. Raises CommandError where it is taken."""

    async def live(_: web.Request) -> web.Response:
        return web.Response(text="live\n")

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ready\n") if is_ready() else web.Response(status=503, text="no list of agents yet\n")

    app = web.Application()
    app.router.add_get("/livez", live)
    app.router.add_get("/readyz", ready)
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - the kubelet asks from outside of the Pod
        except OSError as error:
            raise CommandError(f"probes cannot be answered on port {port}: {error.strerror}") from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
