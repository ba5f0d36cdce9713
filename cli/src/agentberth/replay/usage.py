"""Tokens of a recorded answer, as its provider counted them, in any dialect; and what they cost by the price table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent_api.cassette import RecordedResponse, Recording
from agent_api.gatewayconfig import find_price
from agent_api.listprices import Price
from agentberth.replay import events
from agentberth.replay.bodies import parsed, unpack, unpack_chunk

_INPUT: Final = ("prompt_tokens", "input_tokens")
_OUTPUT: Final = ("completion_tokens", "output_tokens")
_CACHED: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")
_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details")
_PER_DOLLAR: Final = 1_000_000  # millionths


@dataclass(frozen=True)
class Usage:
    """`cached` is a part of `input`. `usd` is None without a price."""

    input: int
    output: int
    cached: int = 0
    usd: float | None = None


def usage_of(recording: Recording, prices: Mapping[str, Price]) -> Usage | None:
    """None when the answer says nothing of tokens."""
    found: dict[str, int] = {}
    model = ""
    for value in _documents(recording.response):
        for part in (value, value.get("message"), value.get("response")):
            if isinstance(part, dict):
                model = str(part.get("model") or model)
                found.update(_counts(part.get("usage")))
    if not found:
        return None
    provider = recording.response.headers.get("x-agentberth-provider", "")
    price = find_price(prices, provider, model)
    return Usage(found.get("input", 0), found.get("output", 0), found.get("cached", 0), _usd(found, price))


def _documents(response: RecordedResponse) -> Iterator[dict[str, Any]]:
    if response.stream is None:
        values = iter([parsed(unpack(response.body))])
    else:
        values = events.data_of(b"".join(map(unpack_chunk, response.stream)))
    return (value for value in values if isinstance(value, dict))


def _counts(usage: Any) -> dict[str, int]:  # noqa: ANN401 - any JSON
    if not isinstance(usage, dict):
        return {}
    found = {"input": _first(usage, _INPUT), "output": _first(usage, _OUTPUT)}
    details: dict[str, Any] = next((usage[key] for key in _DETAILS if isinstance(usage.get(key), dict)), {})
    beside = sum(_number(usage.get(key)) or 0 for key in _CACHED)  # Anthropic counts them beside input_tokens
    found["cached"] = _number(details.get("cached_tokens")) or _number(usage.get(_CACHED[0]))
    if beside and found["input"] is not None:
        found["input"] += beside
    return {key: value for key, value in found.items() if value is not None}


def _first(usage: dict[str, Any], names: tuple[str, ...]) -> int | None:
    return next((number for name in names if (number := _number(usage.get(name))) is not None), None)


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12 else None


def _usd(found: Mapping[str, int], price: Price | None) -> float | None:
    if price is None:
        return None
    tokens = found.get("input", 0)
    cost = price.cost_micro_usd(
        input_tokens=tokens, cached_tokens=min(found.get("cached", 0), tokens), output_tokens=found.get("output", 0)
    )
    return cost / _PER_DOLLAR
