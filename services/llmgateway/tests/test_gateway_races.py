"""What may happen between two steps: a client that goes, a second write, a look before the server listens."""

import asyncio
from pathlib import Path
from time import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from agent_api.gatewayconfig import GatewayConfig
from agent_base.redaction import Redactor
from agent_kit.errors import ListenError
from agent_kit.service import Stop
from agent_kit.telemetry import SilentTelemetry
from agent_llmgateway.app import build_checks, build_core, serve
from agent_llmgateway.budget.budget import Budget
from agent_llmgateway.budget.ledger import FileLedger, Spent
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.http.server import GatewayServer
from agent_llmgateway.http.state import Core
from agent_llmgateway.settings import GatewaySettings
from agent_llmgateway.upstream.connections import Upstream

NOW = 1_800_000_000.0
CONFIG = """{"agent": "x", "budget": {"tokensPerHour": 100}, "providers": [{"name": "a", "type": "mock"}]}"""


class DistantLedger:
    """Counts only after a while, as one that is asked over the network."""

    def __init__(self) -> None:
        self.spent = Spent().at(NOW)

    async def read(self) -> Spent:
        return self.spent

    async def add(self, tokens: int, micro_usd: int) -> Spent:
        await asyncio.sleep(0.02)
        self.spent = self.spent.plus(tokens, micro_usd)
        return self.spent

    async def close(self) -> None:
        """There is nothing to let go of."""


async def test_an_answer_is_counted_once_its_client_has_gone_and_the_next_is_let_in() -> None:
    config = GatewayConfig.model_validate_json(CONFIG)
    ledger = DistantLedger()
    budget = Budget(ledger, lambda: NOW)
    answered = asyncio.Event()

    async def ask() -> None:
        async with budget.admit(config, (Route("a", "m"),), 10, None) as reservation:
            assert reservation is not None
            reservation.charge(7, 0)
            answered.set()

    asking = asyncio.create_task(ask())
    await answered.wait()
    await asyncio.sleep(0.001)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert ledger.spent.tokens == 7
    async with asyncio.timeout(5):
        await ask()
    assert ledger.spent.tokens == 14


async def test_a_count_that_is_written_twice_at_once_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger = FileLedger(tmp_path / "b.json", lambda: NOW)
    writing = asyncio.create_task(ledger.run())
    for _ in range(50):
        await ledger.add(1, 1)
        await asyncio.gather(*(ledger.close() for _ in range(8)))
    writing.cancel()
    await ledger.close()

    assert caplog.text == ""
    assert (await FileLedger(tmp_path / "b.json", lambda: NOW).read()).tokens == 50


def core_of(upstream: Upstream, tmp_path: Path) -> Core:
    ledger = FileLedger(tmp_path / "b.json", time)
    return build_core(CollectorRegistry(), ledger, upstream, SilentTelemetry(), Redactor())


async def test_the_gateway_is_not_ready_before_it_listens(tmp_path: Path, unused_tcp_port: int) -> None:
    watched: Any = type("Watched", (), {"check": lambda _: None})()
    async with Upstream() as upstream, asyncio.TaskGroup() as tasks:
        server = GatewayServer(core_of(upstream, tmp_path))
        checks = build_checks(core_of(upstream, tmp_path), watched, server, Stop(tasks))
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
