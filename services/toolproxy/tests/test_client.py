import asyncio
from collections.abc import Mapping

from agent_toolproxy.call import Json
from agent_toolproxy.errors import UpstreamHttp, UpstreamSessionLost, UpstreamTimeout
from agent_toolproxy.mcp.client import Session
from agent_toolproxy.mcp.link import Exchange, MessageListener
from agent_toolproxy.mcp.messages import RequestId, error, response


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


async def test_a_call_that_comes_while_hands_are_shaken_again_waits_for_the_session() -> None:
    server = ForgetfulServer()
    session = Session(server, era="legacy")
    await session.connect(5)
    server.known += 1  # it has restarted

    async def call(after_s: float) -> Json:
        await asyncio.sleep(after_s)
        params = {"name": "t", "arguments": {}}
        return await session.call("tools/call", params, timeout_s=5)

    first, second = await asyncio.gather(call(0), call(0.01))
    assert first == second == {"content": [], "tools": []}


class SlowModernServer:
    """A server of 2026-07-28 that is still starting when it is probed."""

    silence_is_legacy = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def exchange(self, exchange: Exchange, listener: MessageListener) -> Json:
        del listener
        await asyncio.sleep(0)
        self.asked.append(exchange.message["method"])
        if len(self.asked) == 1:
            raise UpstreamTimeout("it is starting")
        if exchange.message["method"] == "initialize":
            return error(exchange.message_id, -32022, "Unsupported protocol version", {"supported": ["2026-07-28"]})
        return response(exchange.message_id, {"supportedVersions": ["2026-07-28"], "capabilities": {}})

    async def notify(self, message: Json, headers: Mapping[str, str]) -> None:
        """Nothing is done about it."""

    async def cancel(self, message_id: RequestId, headers: Mapping[str, str], *, modern: bool) -> None:
        """Likewise."""

    def forget_session(self) -> None:
        """It has none."""

    async def watch(self, listener: MessageListener, headers: Mapping[str, str]) -> None:
        """It says nothing unasked."""


async def test_a_modern_server_that_was_too_slow_for_the_probe_is_probed_again() -> None:
    server = SlowModernServer()
    session = Session(server)
    await session.connect(5)
    assert server.asked == ["server/discover", "initialize", "server/discover"]
    assert (session.era, session.version) == ("modern", "2026-07-28")
