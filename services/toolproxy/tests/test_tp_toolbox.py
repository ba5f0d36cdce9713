"""What the toolbox says of itself while it makes its list."""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from agent_api.toolsconfig import PlannedTool, ToolsConfig
from agent_kit.redaction import Redactor
from agent_kit.telemetry import SilentTelemetry
from agent_toolproxy.audit import Audit
from agent_toolproxy.call import Call, Json, Offer, define
from agent_toolproxy.entry import Entry
from agent_toolproxy.errors import ToolNotReady, UnknownTool
from agent_toolproxy.lockfile import LockFile
from agent_toolproxy.metrics import ToolMetrics
from agent_toolproxy.pinning import Drift, Pins
from agent_toolproxy.toolbox import Toolbox


class SlowPins(Pins):
    """Judges when it is let to."""

    def __init__(self, lock: LockFile) -> None:
        super().__init__(lock)
        self.asked, self.go = threading.Event(), threading.Event()

    def judge(self, definitions: Mapping[str, Mapping[str, Any]]) -> dict[str, Drift]:
        self.asked.set()
        assert self.go.wait(30)
        return super().judge(definitions)


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
    pins = SlowPins(LockFile(tmp_path, tmp_path))
    toolbox = Toolbox(
        pins=pins,
        metrics=ToolMetrics(CollectorRegistry()),
        audit_log=Audit(Redactor()),
        telemetry=SilentTelemetry(),
    )
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
