"""The composition root: what may happen before the gateway listens."""

import asyncio
from pathlib import Path
from time import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from agent_base.redaction import Redactor
from agent_kit.callerauth import Door
from agent_kit.errors import ListenError
from agent_kit.service import Stop
from agent_kit.telemetry import SilentTelemetry
from agent_llmgateway.app import build_checks, build_state, serve
from agent_llmgateway.budget.allowance import Allowance
from agent_llmgateway.budget.budget import Budget
from agent_llmgateway.http.server import GatewayServer
from agent_llmgateway.http.state import GatewayState
from agent_llmgateway.settings import GatewaySettings
from agent_llmgateway.upstream.connections import Upstream


def state_of(upstream: Upstream, tmp_path: Path) -> GatewayState:
    budget = Budget(Allowance(tmp_path / "b.json", time), time)
    return build_state(CollectorRegistry(), budget, upstream, SilentTelemetry(), Redactor())


async def test_the_gateway_is_not_ready_before_it_listens(tmp_path: Path, unused_tcp_port: int) -> None:
    watched: Any = type("Watched", (), {"check": lambda _: None})()
    async with Upstream() as upstream, asyncio.TaskGroup() as tasks:
        server = GatewayServer(state_of(upstream, tmp_path), Door("127.0.0.1"))
        checks = build_checks(state_of(upstream, tmp_path), watched, server, Stop(tasks))
        assert checks["server"]() == "agents are not served yet"
        await server.start("127.0.0.1", unused_tcp_port)
        assert checks["server"]() is None
        await server.drain(1)


async def test_a_gateway_that_cannot_listen_leaves_nothing_open(
    tmp_path: Path, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    settings = GatewaySettings(root=str(tmp_path), ops_host="127.0.0.1", ops_port=unused_tcp_port)
    holder = await asyncio.start_server(lambda *_: None, "127.0.0.1", unused_tcp_port)
    async with holder:
        with pytest.raises(ExceptionGroup) as raised:
            async with asyncio.TaskGroup() as tasks:
                await serve(Redactor(), settings, Stop(tasks))
    assert raised.group_contains(ListenError)
    assert "Unclosed" not in caplog.text
