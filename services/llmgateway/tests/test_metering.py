"""What a try is charged, by what is known of it."""

import json
from typing import Any

import pytest

from agent_api.gatewayconfig import GatewayConfig
from agent_llmgateway.budget.meter import Meter
from agent_llmgateway.budget.metering import (
    DENSE_BYTES,
    HIDDEN_TOKENS,
    LONGEST_OUTPUT_TOKENS,
    RequestBounds,
    bounds_of,
    charge_tries,
)
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import Failure, network_failure, silent_failure
from agent_llmgateway.wire.call import Call
from agent_llmgateway.wire.dialects import DIALECTS
from agent_llmgateway.wire.envelope import read_envelope
from agent_llmgateway.wire.meter import TryMeter
from agent_llmgateway.wire.requestsize import RequestSize
from agent_llmgateway.wire.usage import MOST_TOKENS, Usage

CONFIG = GatewayConfig.model_validate({"agent": "x", "providers": [{"name": "a", "type": "mock"}]})
BOUNDS = RequestBounds(RequestSize(1000))
TRUE = Usage(250, 100)


class Stream:
    """As much of a stream as is charged."""

    def __init__(self, usage: Usage | None = None, text_bytes: int = 0, *, finished: bool = False) -> None:
        self.usage = usage
        self.text_bytes = text_bytes
        self.finished = self.ended = finished


def charged(*tries: TryMeter, bounds: RequestBounds = BOUNDS, longest: int = 0) -> list[tuple[int, int]]:
    charges = charge_tries(CONFIG, bounds, list(tries), longest)
    return [(charge.usage.input_tokens, charge.usage.output_tokens) for charge in charges]


def whole(usage: Usage | None, answer: Any = None, model: str = "m") -> TryMeter:
    return TryMeter("a", model, is_answered=True, usage=usage, answer=json.dumps(answer).encode())


def streamed(model: str = "m", *, is_message: bool = False, **stream: Any) -> TryMeter:
    return TryMeter("a", model, is_message, stream=Stream(**stream))


@pytest.mark.parametrize(
    "failure",
    [
        network_failure("refused"),
        Failure(Cause.RATE_LIMIT, 429, ""),
        Failure(Cause.KEY, 401, ""),
        Failure(Cause.UNSUITED, 404, ""),
        Failure(Cause.REFUSED, 400, ""),
    ],
    ids=lambda failure: failure.cause,
)
def test_what_was_not_sent_or_refused_at_once_costs_nothing(failure: Failure) -> None:
    assert charged(TryMeter("a", "m", failure=failure)) == []


@pytest.mark.parametrize(
    "failure",
    [
        network_failure("reset", is_sent=True),
        Failure(Cause.SERVER, 500, ""),
        Failure(Cause.FILTER, 400, ""),
        Failure(Cause.UNSUITED, 408, ""),
    ],
    ids=lambda failure: f"{failure.cause}-{failure.status}",
)
def test_a_try_that_failed_at_the_provider_costs_its_input(failure: Failure) -> None:
    assert charged(TryMeter("a", "m", failure=failure)) == [(1000, 0)]
    assert charged(TryMeter("a", "m", failure=failure), whole(TRUE)) == [(250, 0), (250, 100)]


def test_a_document_that_nobody_counted_costs_what_it_may_have_been() -> None:
    bounds = RequestBounds(RequestSize(1000, doubtful_tokens=50_000))
    failed = TryMeter("a", "m", failure=Failure(Cause.SERVER, 500, ""))
    assert charged(failed, bounds=bounds) == [(51_000, 0)]
    assert charged(failed, whole(TRUE), bounds=bounds) == [(250, 0), (250, 100)]


def test_a_try_that_nobody_waited_for_costs_what_it_may_have_made() -> None:
    assert charged(TryMeter("a", "m")) == [(1000, HIDDEN_TOKENS)]
    assert charged(TryMeter("a", "m", failure=silent_failure(""))) == [(1000, HIDDEN_TOKENS)]
    limited = RequestBounds(RequestSize(1000), choices=3, output_limit=50)
    assert charged(TryMeter("a", "m"), bounds=limited) == [(1000, 150)]
    assert charged(TryMeter("a", "m"), bounds=limited, longest=400) == [(1000, 1200)]


def test_an_answer_that_is_made_in_one_place_costs_more() -> None:
    priced = GatewayConfig.model_validate(
        {**CONFIG.model_dump(), "budget": {"usdPerDay": 9}, "prices": {"m": {"inputUsd": 10, "outputUsd": 10}}}
    )
    body = b'{"model":"m","max_tokens":9,"inference_geo":%s,"messages":[]}'
    for where, cost in ((b'"us"', 3850), (b'"global"', 3500), (b"null", 3500)):
        envelope, given = read_envelope(body % where)
        call = Call(DIALECTS["messages"], given, envelope, "m", False, "live", {})
        bounds = bounds_of(call, priced, [Route("a", "m")])
        [charge] = charge_tries(priced, bounds, [whole(TRUE)], 0)
        assert cost <= charge.micro_usd <= cost + 1


def test_any_number_of_choices_stays_a_number_that_can_be_written_down() -> None:
    many = RequestBounds(RequestSize(1000), choices=2**62, output_limit=10**9)
    assert charged(TryMeter("a", "m"), bounds=many) == [(1000, MOST_TOKENS)]
    assert Meter().reserve(CONFIG, many, [Route("a", "m")]).tokens == 1000 + MOST_TOKENS


DATA = "QUJD" * 250_000
SPEECH = {"message": {"content": None, "audio": {"id": "a", "data": DATA, "transcript": "word " * 40}}}
DRAWN = {"type": "image_generation_call", "id": "i", "result": DATA}


@pytest.mark.parametrize(
    "answer, told, untold",
    [
        ({"choices": [SPEECH]}, 400, 1500),
        ({"output": [DRAWN]}, 6300, 6300),
        ({"choices": [{"message": {"images": [{"image_url": {"url": "data:image/png;base64," + DATA}}]}}]}, 6300, 6300),
    ],
    ids=["speech", "picture", "picture-in-a-message"],
)
def test_pictures_and_speech_that_were_made_are_no_text(answer: Any, told: int, untold: int) -> None:
    assert charged(whole(Usage(250, told), answer)) == [(250, told)]
    [(_, output)] = charged(whole(None, answer))
    assert told // 2 < output <= untold


@pytest.mark.parametrize(
    "trial,output",
    [
        (streamed("gpt-4o", text_bytes=77), 77),
        (streamed("gpt-5", text_bytes=77), HIDDEN_TOKENS),
        (streamed("unknown", text_bytes=77), HIDDEN_TOKENS),
        (streamed("claude-sonnet-4-5", is_message=True, usage=Usage(250, 1), text_bytes=77), 77),
        (streamed("claude-opus-5", is_message=True, usage=Usage(250, 1), text_bytes=77), HIDDEN_TOKENS),
        (streamed("unknown", text_bytes=20_000), 20_000),
    ],
)
def test_a_stream_that_was_left_costs_what_came_and_what_may_be_hidden(trial: TryMeter, output: int) -> None:
    assert charged(trial) == [
        (trial.stream.usage.input_tokens if trial.stream and trial.stream.usage else 1000, output)
    ]


@pytest.mark.parametrize("usage", [TRUE, Usage(900, 131_000), Usage(100_000, 0)])
def test_what_can_be_true_is_believed(usage: Usage) -> None:
    assert charged(whole(usage)) == [(usage.input_tokens, usage.output_tokens)]
    assert charged(streamed(usage=usage, text_bytes=12, finished=True)) == [(usage.input_tokens, usage.output_tokens)]


def test_what_cannot_be_true_is_not() -> None:
    text = {"choices": [{"message": {"content": "x" * 3200}}]}
    assert charged(whole(Usage(10**9, 5))) == [(1000, 5)]
    assert charged(whole(Usage(3, 100), text)) == [(-(-1000 // DENSE_BYTES), -(-3200 // DENSE_BYTES))]
    assert charged(whole(Usage(250, 0), text)) == [(250, 3200)]
    assert charged(whole(None, text)) == [(1000, 3200)]
    assert charged(streamed("gpt-4o", usage=Usage(250, 10**8), text_bytes=40, finished=True)) == [(250, 40)]


def call_of(dialect: str, **body: Any) -> Call:
    raw = json.dumps({"model": "m", **body}).encode()
    envelope, raw = read_envelope(raw)
    return Call(DIALECTS[dialect], raw, envelope, "m", False, "live", {})  # type: ignore[index]


@pytest.mark.parametrize(
    "dialect,body,limit",
    [
        ("chat", {"max_tokens": 10}, 10),
        ("chat", {"max_tokens": 10, "max_completion_tokens": 90}, 90),
        ("chat", {"max_output_tokens": 10}, None),
        ("chat", {"max_tokens": -10}, None),
        ("chat", {"max_tokens": 0}, None),
        ("chat", {"max_tokens": 0.5}, None),
        ("chat", {"max_tokens": 1e300}, None),
        ("messages", {"max_tokens": 10, "max_completion_tokens": 900}, 10),
        ("messages", {"max_output_tokens": 10}, None),
        ("responses", {"max_output_tokens": 10, "max_tokens": 900}, 10),
        ("responses", {"max_tokens": 10}, None),
    ],
)
def test_only_a_limit_of_the_own_dialect_is_one(dialect: str, body: dict[str, Any], limit: int | None) -> None:
    assert bounds_of(call_of(dialect, **body), CONFIG, (Route("a", "m"),)).output_limit == limit


def test_a_reservation_believes_a_limit_once_its_provider_has_kept_one() -> None:
    meter, routes = Meter(), (Route("a", "m"),)

    def reserved(**body: Any) -> int:
        call = call_of("chat", **body)
        return meter.reserve(CONFIG, meter.bounds(CONFIG, call, routes), routes).tokens - len(call.body)

    def answer(output: int, **body: Any) -> None:
        call = call_of("chat", **body)
        call.meter.begin("a", "m", is_message=False).usage = Usage(10, output)
        call.meter.current.is_answered = True
        meter.charge(CONFIG, meter.bounds(CONFIG, call, routes), call)

    assert reserved(max_tokens=10) == LONGEST_OUTPUT_TOKENS
    answer(9, max_tokens=10)
    assert reserved(max_tokens=10) == 10
    assert reserved(max_tokens=10, n=5) == 50
    assert reserved(max_tokens=-3) == LONGEST_OUTPUT_TOKENS
    assert reserved(max_tokens=10, n=-5) == 10
    answer(7000, max_tokens=10)
    assert reserved(max_tokens=10, n=2) == 14_000


def test_embeddings_make_no_text_and_a_faster_service_costs_more() -> None:
    prices = {"m": {"inputUsd": 1, "outputUsd": 10, "premiumFactor": 2.5}}
    priced = {"agent": "x", "providers": [{"name": "a", "type": "mock"}], "prices": prices}
    config = GatewayConfig.model_validate({**priced, "budget": {"usdPerDay": 1}})
    routes = (Route("a", "m"),)
    assert bounds_of(call_of("embeddings", input="x"), config, routes).most_output(0, without_limit=9) == 0
    for more, factor in (({}, 1.0), ({"service_tier": "priority"}, 2.5), ({"service_tier": "default"}, 1.0)):
        call = call_of("chat", **more)
        [charge] = charge_tries(config, bounds_of(call, config, routes), [whole(Usage(100, 50))], 0)
        assert charge.micro_usd == (100 + 500) * factor
    unlimited = GatewayConfig.model_validate(priced)
    [charge] = charge_tries(unlimited, bounds_of(call_of("chat"), unlimited, routes), [whole(Usage(100, 50))], 0)
    assert charge.micro_usd == 0
