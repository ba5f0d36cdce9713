"""What the report says of routes, for keys that come and go."""

import asyncio
import hashlib
import json
from pathlib import Path

from agent_api.gatewayreport import BudgetState, ProviderState
from agent_llmgateway.config.loaded import parse_config
from agent_llmgateway.config.providerset import ProviderSet
from agent_llmgateway.failover.breaker import BreakerBoard, BreakerKey
from agent_llmgateway.metrics.providerstats import ProviderStats
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import Failure
from agent_llmgateway.upstream.keys import MARK_CHARACTERS

REFUSED = Failure(Cause.KEY, 401, "no such key")


def mark_of(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:MARK_CHARACTERS]


class Gateway:
    """The report of two providers, of which one has its keys in `folder`, and the other one needs none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.board = BreakerBoard(lambda: 0.0)
        self.stats = ProviderStats(self.board, str)
        providers = [
            {"name": "main", "type": "openai", "credentials": str(folder)},
            {"name": "local", "type": "mock", "baseUrl": "http://127.0.0.1:1"},
        ]
        loaded = parse_config(json.dumps({"agent": "subject", "providers": providers}).encode())
        self._set = ProviderSet(loaded, root="/", register_secret=lambda _: None, watch_interval_s=60)

    def hold(self, **keys: str) -> None:
        for file in self._folder.iterdir():
            file.unlink()
        for name, value in keys.items():
            (self._folder / name.replace("_", "-")).write_text(value)
        asyncio.run(self._set.providers["main"].keys.refresh())

    def fail(self, provider: str, key: str = "", value: str = "") -> None:
        mark = mark_of(value) if value else ""
        self.board.fail(BreakerKey(provider, "m", key, mark), REFUSED, threshold=1, open_s=60)
        self.stats.note_error(provider, REFUSED)

    def state(self, provider: str) -> ProviderState:
        report = self.stats.report(self._set, ready=True, config_error="", budget=BudgetState())
        return next(each for each in report.providers if each.name == provider)


def test_a_key_that_was_rotated_is_not_held_against_the_provider(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.hold(api_key="old")
    gateway.fail("main", "api-key", "old")
    assert [(route.key, route.breaker) for route in gateway.state("main").routes] == [("api-key", "open")]

    gateway.hold(api_key="new")
    assert gateway.state("main").routes == ()

    gateway.fail("main", "api-key", "new")
    gateway.hold(api_key="old")
    assert [(route.key, route.breaker) for route in gateway.state("main").routes] == [("api-key", "open")]


def test_a_key_that_was_taken_away_is_no_route(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.hold(api_key_1="a", api_key_2="b")
    gateway.fail("main", "api-key-1", "a")
    gateway.board.succeed(BreakerKey("main", "m", "api-key-2", mark_of("b")))
    gateway.board.fail(BreakerKey("main", "m", "api-key-2", mark_of("b")), REFUSED, threshold=9, open_s=60)
    assert len(gateway.state("main").routes) == 2

    gateway.hold(api_key_2="b")
    assert [route.key for route in gateway.state("main").routes] == ["api-key-2"]


def test_a_provider_without_keys_has_its_routes(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.fail("local")
    assert [route.breaker for route in gateway.state("local").routes] == ["open"]
