"""Configuration, keys, cache, budget, counters and failures, each by itself."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from agent_api.gatewayconfig import GatewayBudget, GatewayCache, GatewayConfig, Price
from agent_base.redaction import Redactor
from agent_llmgateway.budget.budget import Budget, cost_micro_usd
from agent_llmgateway.budget.ledger import FileLedger
from agent_llmgateway.config.loaded import parse_config
from agent_llmgateway.errors import OverBudgetError
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.failures.failure import Cause, read_failure
from agent_llmgateway.http.cache import AnswerCache
from agent_llmgateway.metrics.counters import CounterCollector, LabelledCounter, LabelledHistogram
from agent_llmgateway.upstream.connections import check_c_parser
from agent_llmgateway.upstream.keys import open_pool, read_keys
from agent_llmgateway.wire.usage import Usage

NOW = 1_800_000_000.0


def config_of(**fields: Any) -> bytes:
    provider = {"name": "a", "type": "mock"}
    return json.dumps({"agent": "x", "providers": [provider], **fields}).encode()


@pytest.mark.parametrize(
    "fields,message",
    [
        ({"providers": []}, "providers"),
        ({"providers": [{"name": "a", "type": "mock"}] * 2}, "two providers are called 'a'"),
        ({"providers": [{"name": "a", "type": "openai-compatible"}]}, "needs baseUrl"),
        ({"providers": [{"name": "a", "type": "openai", "baseUrl": "ftp://x"}]}, "http(s) address"),
        ({"providers": [{"name": "a", "type": "openai", "baseUrl": "http://u:p@x"}]}, "without credentials"),
        ({"providers": [{"name": "a", "type": "openai", "credentials": "keys"}]}, "absolute path"),
        ({"providers": [{"name": "a", "type": "mock", "options": {"replys": []}}]}, "options.replys"),
        ({"providers": [{"name": "a", "type": "openai", "options": {"headers": {"x": 1}}}]}, "options.headers"),
        ({"models": [{"name": "m", "routes": [{"provider": "b"}]}]}, "no provider is called 'b'"),
        ({"models": [{"name": "m", "routes": [{"provider": "a"}]}] * 2}, "two aliases are called 'm'"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_bad_configuration_is_refused_with_its_place(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        parse_config(config_of(**fields))


def test_keys_are_read_in_order_and_registered_as_secrets() -> None:
    seen: list[str] = []
    files = {"b": b"key-b\n", "a": b"key-a", ".hidden": b"x", "empty": b" \n"}
    keys = read_keys(seen.append, files)
    assert [(key.name, key.value) for key in keys] == [("a", "key-a"), ("b", "key-b")]
    assert seen == ["key-a", "key-b"]
    assert "key-a" not in repr(keys)
    for bad in (b"two words", b"line\nbreak", "ümlaut".encode()):
        with pytest.raises(ValueError, match="is not a key"):
            read_keys(seen.append, {"k": bad})


def test_a_pool_takes_turns_and_sees_a_new_key(tmp_path: Path) -> None:
    async def use() -> None:
        (tmp_path / "one").write_text("first-key")
        pool = open_pool(str(tmp_path), needs_key=True, register=Redactor().add, interval_s=60)
        assert pool.keys == ()
        await pool.refresh()
        (tmp_path / "two").write_text("second-key")
        await pool.refresh()
        turns = [pool.in_turn()[0].name for _ in range(4)]
        assert turns in (["one", "two"] * 2, ["two", "one"] * 2)

    asyncio.run(use())
    assert open_pool(None, needs_key=True, register=Redactor().add, interval_s=1).keys == ()
    assert [key.value for key in open_pool(None, needs_key=False, register=Redactor().add, interval_s=1).keys] == [None]


def make_async(value: str, calls: list[str], wait_s: float = 0.0) -> Callable[[], Any]:
    async def make() -> str:
        calls.append(value)
        await asyncio.sleep(wait_s)
        return value

    return make


def test_the_cache_forgets_by_time_and_by_number() -> None:
    now = [0.0]
    cache: AnswerCache[str] = AnswerCache(lambda: now[0])
    settings = GatewayCache(enabled=True, entries=2, ttl_seconds=10)
    calls: list[str] = []

    async def get(word: str) -> str:
        return (await cache.get(settings, (word.encode(),), make_async(word, calls)))[1]

    async def use() -> None:
        assert [await get(word) for word in ("a", "a", "b", "a", "c", "a", "b")] == [
            "miss", "hit", "miss", "hit", "miss", "hit", "miss",
        ]  # fmt: skip
        now[0] = 11
        assert await get("a") == "miss"

    asyncio.run(use())


def test_what_a_maker_raises_is_raised_for_all_who_wait() -> None:
    cache: AnswerCache[str] = AnswerCache(lambda: 0.0)

    async def fail() -> str:
        await asyncio.sleep(0.01)
        raise OverBudgetError("spent", 1.0)

    async def use() -> list[Any]:
        settings = GatewayCache(coalesce=True)
        return await asyncio.gather(*(cache.get(settings, (b"x",), fail) for _ in range(3)), return_exceptions=True)

    assert [type(each) for each in asyncio.run(use())] == [OverBudgetError] * 3


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(100, 2000))
def test_a_budget_is_overshot_by_one_answer_at_most(costs: list[int], limit: int) -> None:
    config = GatewayConfig.model_validate_json(config_of(budget={"tokensPerHour": limit}))
    spent = 0
    waits: list[float] = []

    async def use(path: Path) -> None:
        nonlocal spent
        budget = Budget(FileLedger(path, lambda: NOW), lambda: NOW)

        async def ask(cost: int) -> None:
            nonlocal spent
            try:
                async with budget.admit(config, (Route("a", "m"),), 10, None) as reservation:
                    await asyncio.sleep(0)
                    assert reservation is not None
                    reservation.charge(cost, 0)
                    spent += cost
            except OverBudgetError as refused:
                waits.append(refused.retry_after_s or 0.0)

        await asyncio.gather(*(ask(cost) for cost in costs))

    asyncio.run(use(Path("/nonexistent/budget.json")))
    assert spent < limit + 300
    assert spent == sum(costs) or spent >= limit
    assert all(0 < wait_s <= 3600 for wait_s in waits)


def test_a_new_window_begins_with_nothing_spent(tmp_path: Path) -> None:
    now = [NOW]

    async def use() -> None:
        ledger = FileLedger(tmp_path / "b.json", lambda: now[0])
        await ledger.add(100, 5)
        await ledger.close()
        again = FileLedger(tmp_path / "b.json", lambda: now[0])
        assert (await again.read()).tokens == 100
        now[0] += 3600
        assert ((await again.read()).tokens, (await again.read()).micro_usd) == (0, 5)
        now[0] += 86_400
        assert (await again.read()).micro_usd == 0

    asyncio.run(use())


def test_a_damaged_count_starts_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "b.json"
    path.write_text("{broken")

    async def read() -> int:
        return (await FileLedger(path, lambda: NOW).read()).tokens

    assert asyncio.run(read()) == 0
    assert "cannot be read" in caplog.text


def test_prices_count_cached_input_apart() -> None:
    prices = {"m": Price(input_usd=3, output_usd=15, cached_input_usd=0.3), "a/n": Price(input_usd=1, output_usd=2)}
    config = GatewayConfig(agent="x", providers=parse_config(config_of()).config.providers, prices=prices)
    assert cost_micro_usd(config, Route("a", "m"), Usage(1000, 100, 400)) == 600 * 3 + 120 + 1500
    assert cost_micro_usd(config, Route("a", "n"), Usage(10, 10)) == 30
    assert cost_micro_usd(config, Route("b", "n"), Usage(10, 10)) is None
    assert config.budget == GatewayBudget()


def test_counters_are_what_prometheus_reads() -> None:
    requests = LabelledCounter("requests", "r", ("status",))
    times = LabelledHistogram("times_seconds", "t", (0.1, 1), ())
    registry = CollectorRegistry()
    registry.register(CounterCollector([requests, times, LabelledCounter("nothing", "n", ())]))
    requests.add(("200",), 2)
    for value in (0.05, 0.1, 0.5, 7):
        times.observe((), value)
    text = generate_latest(registry).decode()
    for line in (
        'requests_total{status="200"} 2.0',
        'times_seconds_bucket{le="0.1"} 2.0',
        'times_seconds_bucket{le="1.0"} 3.0',
        'times_seconds_bucket{le="+Inf"} 4.0',
        "times_seconds_count 4.0",
        "times_seconds_sum 7.65",
        "nothing_total 0.0",
    ):
        assert line in text


OPENAI_FILTER = {"error": {"message": "x", "code": "content_filter"}}
AZURE_FILTER = {"error": {"message": "triggering Azure OpenAI's content management policy", "code": "content_filter"}}


@pytest.mark.parametrize(
    "status,document,cause",
    [
        (400, {"error": {"message": "This model's maximum context length is 8192 tokens"}}, Cause.CONTEXT),
        (400, {"type": "error", "error": {"message": "prompt is too long: 9 tokens > 8 maximum"}}, Cause.CONTEXT),
        (400, {"error": {"message": "no", "code": "context_length_exceeded"}}, Cause.CONTEXT),
        (400, OPENAI_FILTER, Cause.FILTER),
        (400, AZURE_FILTER, Cause.FILTER),
        (403, OPENAI_FILTER, Cause.FILTER),
        (400, {"error": {"message": "Output blocked by content filtering policy"}}, Cause.FILTER),
        (400, {"error": {"message": "bad tools"}}, Cause.REFUSED),
        (400, {"error": "plain text"}, Cause.REFUSED),
        (400, ["odd"], Cause.REFUSED),
        (400, None, Cause.REFUSED),
        (401, None, Cause.KEY), (402, None, Cause.KEY), (403, None, Cause.KEY), (429, None, Cause.RATE_LIMIT),
        (500, None, Cause.SERVER), (501, None, Cause.UNAVAILABLE), (502, None, Cause.UNAVAILABLE),
        (522, None, Cause.UNAVAILABLE), (529, None, Cause.UNAVAILABLE), (302, None, Cause.UNAVAILABLE),
        (404, None, Cause.REFUSED), (413, None, Cause.REFUSED), (451, None, Cause.REFUSED),
    ],
)  # fmt: skip
def test_a_status_and_its_words_have_a_cause(status: int, document: object, cause: Cause) -> None:
    body = b"<html>" if document is None else json.dumps(document).encode()
    failure = read_failure(status, {"retry-after": "7"}, body, dialect="chat", now_epoch_s=NOW)
    assert failure.cause is cause
    assert failure.message
    assert failure.retry_after_s == (7.0 if cause in (Cause.RATE_LIMIT, Cause.UNAVAILABLE) else None)


def test_the_c_parser_is_there() -> None:
    check_c_parser()
