import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from agent_api.toolsconfig import PlannedTool, ToolOptions
from agent_toolproxy.call import Json
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import UpstreamHttp, UpstreamSessionLost, UpstreamUnavailable
from agent_toolproxy.mcp.link import Exchange, MessageListener
from agent_toolproxy.mcp.messages import RequestId, response
from agent_toolproxy.tools.connectors import Connection
from agent_toolproxy.tools.lanes import Lanes
from agent_toolproxy.tools.provision import Program
from agent_toolproxy.tools.servers.signals import Signals
from agent_toolproxy.tools.upstream import ConfiguredServer


class ForgetfulServer:
    """A handshake server: no session is 400, one that it has forgotten is 404."""

    silence_is_legacy = False

    def __init__(self) -> None:
        self.session: int | None = None
        self.known = 0

    async def exchange(self, exchange: Exchange, listener: MessageListener) -> Json:
        del listener
        await asyncio.sleep(0)
        if exchange.message["method"] == "initialize":
            await asyncio.sleep(0.02)
            self.known += 1
            self.session = self.known
            return response(exchange.message_id, {"protocolVersion": "2025-11-25"})
        if self.session is None:
            raise UpstreamHttp(400, "no session")
        if self.session != self.known:
            raise UpstreamSessionLost(404, "unknown session")
        return response(exchange.message_id, {"content": [], "tools": []})

    async def notify(self, message: Json, headers: Mapping[str, str]) -> None:
        """Nothing is done about it."""

    async def cancel(self, message_id: RequestId, headers: Mapping[str, str], *, modern: bool) -> None:
        """Likewise."""

    def forget_session(self) -> None:
        """The client has none now."""
        self.session = None

    async def watch(self, listener: MessageListener, headers: Mapping[str, str]) -> None:
        """It says nothing unasked."""


class SlowToClose:
    """Connections that are lost when told, and closed when let."""

    def __init__(self) -> None:
        self.lost, self.closed = asyncio.Event(), asyncio.Event()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Connection]:
        try:
            yield Connection(ForgetfulServer(), self._run, Program(path=""))
        finally:
            await self.closed.wait()

    async def _run(self) -> None:
        await self.lost.wait()
        raise UpstreamUnavailable("the server is gone")


async def test_a_lost_server_is_not_ready_while_it_is_being_closed() -> None:
    connector = SlowToClose()
    changed = asyncio.Event()
    server = ConfiguredServer(
        PlannedTool(name="up"),
        ToolOptions(),
        connector,
        lanes=Lanes(),
        current=CurrentConfig(),
        signals=Signals(),
        on_change=changed.set,
    )

    async def until(state: str) -> None:
        while server.state != state:
            changed.clear()
            await changed.wait()

    living = asyncio.create_task(server.run())
    async with asyncio.timeout(10):
        await until("ready")
        connector.lost.set()
        await until("failed")
    assert server.error == "the server is gone"
    connector.closed.set()
    living.cancel()
