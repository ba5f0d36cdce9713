import asyncio
import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from agent_api.toolsconfig import PlannedTool, ToolsConfig
from agent_base.redaction import Redactor
from agent_kit.telemetry import SilentTelemetry
from agent_toolproxy.call import Call, Json, ServedTool, define
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import ToolNotReady, UnknownTool
from agent_toolproxy.metrics import ToolMetrics
from agent_toolproxy.rules.approvals import Approvals
from agent_toolproxy.rules.rates import Rates
from agent_toolproxy.rules.rulebook import RuleBook
from agent_toolproxy.store.lockfile import LockFile
from agent_toolproxy.tools.audit import Audit
from agent_toolproxy.tools.callrecord import CallRecorder
from agent_toolproxy.tools.changes import Changes
from agent_toolproxy.tools.configuredtool import ConfiguredTool
from agent_toolproxy.tools.pinning import Drift, Pins
from agent_toolproxy.tools.registry import Registry
from agent_toolproxy.tools.servers.signals import Announcements
from agent_toolproxy.tools.toolbox import Toolbox


class Ready(ConfiguredTool):
    """A tool that is there at once."""

    async def run(self) -> None:
        async def handler(call: Call, /) -> Json:
            return {"said": dict(call.arguments)}

        definition = define(self.name, "Say it again.", {"type": "object"})
        self.served_tools = (ServedTool(owner=self.name, kind="command", definition=definition, handler=handler),)
        self.set_state("ready")


@contextlib.asynccontextmanager
async def running(registry: Registry) -> Any:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(registry.run())
        yield
        task.cancel()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Living(ConfiguredTool):
    """A tool that works for as long as it is let live."""

    lives = False

    async def run(self) -> None:
        async def handler(_: Call, /) -> Json:
            return {"lives": self.lives}

        self.served_tools = (
            ServedTool(
                owner=self.name, kind="mcp", definition=define(self.name, "", {"type": "object"}), handler=handler
            ),
        )
        self.lives = True
        self.set_state("ready")
        try:
            await asyncio.Event().wait()
        finally:
            self.lives = False


class HeldPins(Pins):
    """Judges when it is let to."""

    def __init__(self, lock: LockFile) -> None:
        super().__init__(lock, CurrentConfig())
        self.asked, self.go = threading.Event(), threading.Event()

    def judge(self, definitions: Mapping[str, Mapping[str, Any]]) -> dict[str, Drift]:
        self.asked.set()
        assert self.go.wait(30)
        return super().judge(definitions)


async def test_a_tool_that_is_replaced_works_until_the_list_has_the_new_one(tmp_path: Path) -> None:
    pins = HeldPins(LockFile(tmp_path, tmp_path))
    marks = Changes()
    registry = Registry(lambda planned: Living(planned, "mcp", marks.mark), marks)
    toolbox = toolbox_of(pins, registry, marks)
    async with running(registry), asyncio.TaskGroup() as group:
        remaking = group.create_task(toolbox.run())
        changes = toolbox.announcements.follow()
        pins.go.set()
        await registry.apply(ToolsConfig(agent="x", tools=(PlannedTool(name="a"),)))
        await anext(changes)
        old = registry.tool("a")
        pins.go.clear()
        await registry.apply(ToolsConfig(agent="x", tools=(PlannedTool(name="a", required=False),)))
        await settle()
        assert registry.tool("a") is not old
        assert await toolbox.call("a", Call(arguments={})) == {"lives": True}
        pins.go.set()
        await marks.wait_settled()
        await settle()
        assert isinstance(old, Living)
        assert not old.lives
        assert await toolbox.call("a", Call(arguments={})) == {"lives": True}
        remaking.cancel()


class Server(ConfiguredTool):
    """A server that is ready with one tool."""

    async def run(self) -> None:
        async def handler(call: Call, /) -> Json:
            return {"said": dict(call.arguments)}

        definition = define("up__echo", "Say it again.", {"type": "object"})
        self.served_tools = (ServedTool(owner=self.name, kind="mcp", definition=definition, handler=handler),)
        self.set_state("ready")


class OneServer:
    """A registry of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def tools(self) -> list[ConfiguredTool]:
        return [self._server]

    def tool(self, name: str) -> ConfiguredTool | None:
        return self._server if name == self._server.name else None


def toolbox_of(pins: Pins, registry: Registry | OneServer, changes: Changes) -> Toolbox:
    return Toolbox(
        announcements=Announcements(),
        rules=RuleBook(CurrentConfig(), Rates(Path("/nonexistent/counts")), Approvals(Path("/nonexistent/approvals"))),
        registry=registry,
        current=CurrentConfig(),
        changes=changes,
        pins=pins,
        metrics=ToolMetrics(CollectorRegistry()),
        audit_log=Audit(Redactor()),
        recorder=CallRecorder(Redactor(), lambda: False),
        telemetry=SilentTelemetry(),
        redactor=Redactor(),
    )


async def test_a_list_under_way_is_not_settled_and_its_tools_are_not_unknown(tmp_path: Path) -> None:
    pins = HeldPins(LockFile(tmp_path, tmp_path))
    marks = Changes()
    server = Server(PlannedTool(name="up"), "mcp", marks.mark)
    toolbox = toolbox_of(pins, OneServer(server), marks)
    remaking = asyncio.create_task(toolbox.run())
    await server.run()
    assert await asyncio.to_thread(pins.asked.wait, 30)
    assert not toolbox.settled
    with pytest.raises(ToolNotReady, match="the tools of up are being listed"):
        await toolbox.call("up__echo", Call(arguments={}))
    pins.go.set()
    async with asyncio.timeout(30):
        await anext(toolbox.announcements.follow())
    assert toolbox.settled
    assert await toolbox.call("up__echo", Call(arguments={"text": "x"})) == {"said": {"text": "x"}}
    with pytest.raises(UnknownTool):
        await toolbox.call("up__other", Call(arguments={}))
    remaking.cancel()


async def test_a_change_before_the_first_wait_is_told(tmp_path: Path) -> None:
    marks = Changes()
    registry = Registry(lambda planned: Ready(planned, "command", marks.mark), marks)
    toolbox = toolbox_of(Pins(LockFile(tmp_path, tmp_path), CurrentConfig()), registry, marks)
    async with running(registry), asyncio.TaskGroup() as group:
        remaking = group.create_task(toolbox.run())
        changes = toolbox.announcements.follow()
        await registry.apply(ToolsConfig(agent="x", tools=(PlannedTool(name="a"),)))
        await settle()
        assert toolbox.listed
        await anext(changes)
        remaking.cancel()
