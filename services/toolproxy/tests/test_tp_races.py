"""What may happen between two steps: another thread, another call, a change of the list, an end."""

import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from agent_api.toolsconfig import PlannedTool, ToolLimits, ToolOptions, ToolsConfig, ToolsPolicy
from agent_base.redaction import Redactor
from agent_kit.telemetry import SilentTelemetry
from agent_toolproxy.call import Call, Json, Offer, define
from agent_toolproxy.errors import NotAllowed, ToolNotReady, UnknownTool, UpstreamHttp, UpstreamUnavailable
from agent_toolproxy.mcp.client import Session
from agent_toolproxy.mcp.link import Exchange, MessageListener
from agent_toolproxy.mcp.messages import RequestId, request, response
from agent_toolproxy.mcp.stdio import StdioLink
from agent_toolproxy.metrics import ToolMetrics
from agent_toolproxy.process.runner import Command, ProcessLimits, start_process
from agent_toolproxy.process.workspace import Workspace
from agent_toolproxy.store.lockfile import LockedTool, LockFile
from agent_toolproxy.tools.audit import Audit
from agent_toolproxy.tools.connect import Connection
from agent_toolproxy.tools.entry import Entry, FailedEntry
from agent_toolproxy.tools.pinning import Drift, Pins
from agent_toolproxy.tools.provision import Program
from agent_toolproxy.tools.registry import Registry
from agent_toolproxy.tools.toolbox import Toolbox
from agent_toolproxy.tools.upstream import UpstreamEntry


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_pins_of_many_threads_are_all_kept(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "own", tmp_path / "workspace")
    names = [f"t{number}" for number in range(60)]

    def pin(name: str) -> None:
        lock.set_tool(name, LockedTool(sha256="a" * 64))
        lock.set_definitions({name: "b" * 64})

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(pin, names))

    for folder in ("own", "workspace"):
        kept = json.loads((tmp_path / folder / "tools.lock.json").read_text())
        assert set(kept["tools"]) == set(kept["definitions"]) == set(names)


class Ready(Entry):
    """A tool that is there at once."""

    async def run(self) -> None:
        async def handler(call: Call, /) -> Json:
            return {"said": dict(call.arguments)}

        definition = define(self.name, "Say it again.", {"type": "object"})
        self.offers = (Offer(owner=self.name, kind="command", definition=definition, handler=handler),)
        self.become("ready")


def make_entry(planned: PlannedTool, config: ToolsConfig) -> Entry:
    if planned.name in config.policy.deny:
        return FailedEntry(planned, NotAllowed("the policy says no"), lambda: None)
    return Ready(planned, "command", lambda: None)


@contextlib.asynccontextmanager
async def running(registry: Registry) -> Any:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(registry.run())
        yield
        task.cancel()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_ready_tool_that_a_new_policy_forbids_is_not_ready_any_more() -> None:
    registry = Registry(make_entry, lambda: None, settle)
    tools = (PlannedTool(name="a", required=True), PlannedTool(name="b", required=True))
    async with running(registry):
        await registry.apply(ToolsConfig(agent="x", tools=tools))
        await settle()
        kept = registry.entry("a")
        assert [each.state for each in registry.entries()] == ["ready", "ready"]
        await registry.apply(ToolsConfig(agent="x", tools=tools, policy=ToolsPolicy(deny=("b",))))
        await settle()
        assert [each.state for each in registry.entries()] == ["ready", "failed"]
        assert registry.entry("a") is kept


class Living(Entry):
    """A tool that works for as long as it is let live."""

    lives = False

    async def run(self) -> None:
        async def handler(_: Call, /) -> Json:
            return {"lives": self.lives}

        self.offers = (
            Offer(owner=self.name, kind="mcp", definition=define(self.name, "", {"type": "object"}), handler=handler),
        )
        self.lives = True
        self.become("ready")
        try:
            await asyncio.Event().wait()
        finally:
            self.lives = False


class HeldPins(Pins):
    """Judges when it is let to."""

    def __init__(self, lock: LockFile) -> None:
        super().__init__(lock)
        self.asked, self.go = threading.Event(), threading.Event()

    def judge(self, definitions: Mapping[str, Mapping[str, Any]]) -> dict[str, Drift]:
        self.asked.set()
        assert self.go.wait(30)
        return super().judge(definitions)


async def test_a_tool_that_is_replaced_works_until_the_list_has_the_new_one(tmp_path: Path) -> None:
    pins = HeldPins(LockFile(tmp_path, tmp_path))
    toolbox = toolbox_of(pins)
    registry = Registry(
        lambda planned, _: Living(planned, "mcp", toolbox.mark_changed), toolbox.mark_changed, toolbox.wait_settled
    )
    toolbox.attach(registry)
    async with running(registry), asyncio.TaskGroup() as group:
        remaking = group.create_task(toolbox.run())
        changes = toolbox.changes()
        pins.go.set()
        await registry.apply(ToolsConfig(agent="x", tools=(PlannedTool(name="a"),)))
        await anext(changes)
        old = registry.entry("a")
        pins.go.clear()
        await registry.apply(ToolsConfig(agent="x", tools=(PlannedTool(name="a", required=False),)))
        await settle()
        assert registry.entry("a") is not old
        assert await toolbox.call("a", Call(arguments={})) == {"lives": True}
        pins.go.set()
        await toolbox.wait_settled()
        await settle()
        assert isinstance(old, Living)
        assert not old.lives
        assert await toolbox.call("a", Call(arguments={})) == {"lives": True}
        remaking.cancel()


def toolbox_of(pins: Pins) -> Toolbox:
    return Toolbox(
        pins=pins,
        metrics=ToolMetrics(CollectorRegistry()),
        audit_log=Audit(Redactor()),
        telemetry=SilentTelemetry(),
    )


class Server(Entry):
    """A server that is ready with one tool."""

    async def run(self) -> None:
        async def handler(call: Call, /) -> Json:
            return {"said": dict(call.arguments)}

        definition = define("up__echo", "Say it again.", {"type": "object"})
        self.offers = (Offer(owner=self.name, kind="mcp", definition=definition, handler=handler),)
        self.become("ready")


class OneServer:
    """Entries with one server among them."""

    def __init__(self, server: Server) -> None:
        self.config = ToolsConfig(agent="test")
        self._server = server

    def entries(self) -> list[Entry]:
        return [self._server]

    def entry(self, name: str) -> Entry | None:
        return self._server if name == self._server.name else None


async def test_a_list_under_way_is_not_settled_and_its_tools_are_not_unknown(tmp_path: Path) -> None:
    pins = HeldPins(LockFile(tmp_path, tmp_path))
    toolbox = toolbox_of(pins)
    server = Server(PlannedTool(name="up"), "mcp", toolbox.mark_changed)
    toolbox.attach(OneServer(server))
    remaking = asyncio.create_task(toolbox.run())
    await server.run()
    assert await asyncio.to_thread(pins.asked.wait, 30)
    assert not toolbox.settled
    with pytest.raises(ToolNotReady, match="the tools of up are being listed"):
        await toolbox.call("up__echo", Call(arguments={}))
    pins.go.set()
    async with asyncio.timeout(30):
        await anext(toolbox.changes())
    assert toolbox.settled
    assert await toolbox.call("up__echo", Call(arguments={"text": "x"})) == {"said": {"text": "x"}}
    with pytest.raises(UnknownTool):
        await toolbox.call("up__other", Call(arguments={}))
    remaking.cancel()


async def test_a_change_before_the_first_wait_is_told(tmp_path: Path) -> None:
    toolbox = toolbox_of(Pins(LockFile(tmp_path, tmp_path)))
    registry = Registry(
        lambda planned, _: Ready(planned, "command", toolbox.mark_changed), toolbox.mark_changed, toolbox.wait_settled
    )
    toolbox.attach(registry)
    async with running(registry), asyncio.TaskGroup() as group:
        remaking = group.create_task(toolbox.run())
        changes = toolbox.changes()
        await registry.apply(ToolsConfig(agent="x", tools=(PlannedTool(name="a"),)))
        await settle()
        assert toolbox.listed
        await anext(changes)
        remaking.cancel()


def test_a_call_whose_folder_cannot_be_made_says_why(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, tmp_path, tmp_path / "none")
    with pytest.raises(ToolNotReady, match="No such file"), workspace.private_folder():
        pass


LIMITS = ProcessLimits(timeout_s=30, output_bytes=1000, memory_bytes=1 << 30, processes=10)


async def test_callers_of_a_server_that_is_given_up_do_not_wait_for_its_answer(tmp_path: Path) -> None:
    command = Command(program="/bin/sleep", arguments=("60",), folder=tmp_path, environment={}, limits=LIMITS)
    async with asyncio.timeout(20), start_process(command, interval_s=1) as child:
        link = StdioLink("up", child)
        reading = asyncio.create_task(link.run())
        calling = asyncio.create_task(link.exchange(Exchange(request(1, "tools/call", {}), timeout_s=60), ignore))
        await settle()
        reading.cancel()
        with pytest.raises(UpstreamUnavailable, match="given up"):
            await calling


async def ignore(_: Json) -> None:
    """A listener of nothing."""


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
            raise UpstreamHttp(404, "unknown session")
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
        return await session.call_tool(params, timeout_s=5, capabilities={}, headers={}, on_progress=None)

    first, second = await asyncio.gather(call(0), call(0.01))
    assert first == second == {"content": [], "tools": []}


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
    entry = UpstreamEntry(PlannedTool(name="up"), ToolOptions(), connector, limits=ToolLimits, on_change=changed.set)

    async def until(state: str) -> None:
        while entry.state != state:
            changed.clear()
            await changed.wait()

    living = asyncio.create_task(entry.run())
    async with asyncio.timeout(10):
        await until("ready")
        connector.lost.set()
        await until("failed")
    assert entry.error == "the server is gone"
    connector.closed.set()
    living.cancel()
