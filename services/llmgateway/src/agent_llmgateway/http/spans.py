"""What a span says of a call, by OpenTelemetry's conventions for generative AI (semantic-conventions-genai).

Only traced requests pay for it: the parameters of a request are read here and nowhere else. They are the agent's, so
one of another type is left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from yarl import URL

from agent_kit.telemetry import AttributeValue
from agent_llmgateway.failover.dependencies import RoutedAnswer
from agent_llmgateway.wire.call import Call
from agent_llmgateway.wire.usage import Usage

_LONGEST_STOP: Final = 64
_MOST_STOPS: Final = 8
_LONGEST_ID: Final = 256
_LARGEST: Final = 2**63
"""What OTLP's integers hold; a larger one, or NaN, is left out."""
_NUMBERS: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_OUTPUT_TYPES: Final = {"text": "text", "json_object": "json", "json_schema": "json"}
Attributes = dict[str, AttributeValue]


class _Asked(msgspec.Struct):
    """Parameters of a request, in any of the dialects."""

    temperature: Any = None
    top_p: Any = None
    top_k: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    seed: Any = None
    n: Any = None
    stop: Any = None
    stop_sequences: Any = None
    response_format: Any = None
    text: Any = None
    conversation: Any = None


class _Told(msgspec.Struct):
    """A whole answer, in any of the dialects, as far as it is shown."""

    id: Any = None


_read_asked: Final = msgspec.json.Decoder(_Asked).decode
_read_told: Final = msgspec.json.Decoder(_Told).decode


def request_attributes(operation: str, call: Call) -> Attributes:
    """Of the request. Nothing of the prompt."""
    found: Attributes = {"gen_ai.operation.name": operation, "gen_ai.request.model": call.model}
    if call.stream:
        found["gen_ai.request.stream"] = True
    limit = call.envelope.output_limit_tokens(call.dialect.name)
    if limit is not None:
        found["gen_ai.request.max_tokens"] = limit
    try:
        asked = _read_asked(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return found
    return found | dict(_parameters(asked))


def answer_attributes(kind: str, routed: RoutedAnswer, usage: Usage | None, first_s: float | None) -> Attributes:
    """Of the answer of a provider of the type `kind`."""
    answer, route = routed.answer, routed.plan.route
    found: Attributes = {
        "gen_ai.response.model": answer.model or route.model,
        "gen_ai.provider.name": kind,
        "agentberth.provider": route.provider,
    }
    found |= _server(routed.wire.url)
    if answer.finish_reason:
        found["gen_ai.response.finish_reasons"] = (answer.finish_reason,)
    if answer.body is not None and (said := _answer_id(answer.body)):
        found["gen_ai.response.id"] = said
    if first_s is not None:
        found["gen_ai.response.time_to_first_chunk"] = first_s
    return found if usage is None else found | _usage(usage)


def _parameters(asked: _Asked) -> Iterator[tuple[str, AttributeValue]]:
    for name in _NUMBERS:
        if _is_number(value := getattr(asked, name)):
            yield f"gen_ai.request.{name}", float(value)
    if _is_number(asked.top_k):
        yield "gen_ai.request.top_k", float(asked.top_k)
    if _is_whole(asked.seed):
        yield "gen_ai.request.seed", asked.seed
    if _is_whole(asked.n) and asked.n != 1:
        yield "gen_ai.request.choice.count", asked.n
    if stops := _stops(asked.stop if asked.stop is not None else asked.stop_sequences):
        yield "gen_ai.request.stop_sequences", stops
    if (output := _output_type(asked)) is not None:
        yield "gen_ai.output.type", output
    if conversation := _conversation(asked.conversation):
        yield "gen_ai.conversation.id", conversation


def _stops(given: object) -> tuple[str, ...]:
    listed = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    return tuple(each[:_LONGEST_STOP] for each in listed[:_MOST_STOPS] if isinstance(each, str))


def _output_type(asked: _Asked) -> str | None:
    """`response_format` of chat completions, `text.format` of responses."""
    nested = asked.text.get("format") if isinstance(asked.text, dict) else None
    given = asked.response_format if asked.response_format is not None else nested
    kind = given.get("type") if isinstance(given, dict) else None
    return _OUTPUT_TYPES.get(kind) if isinstance(kind, str) else None


def _conversation(given: object) -> str:
    """Of responses: an id, or an object with one."""
    found = given.get("id") if isinstance(given, dict) else given
    return found[:_LONGEST_ID] if isinstance(found, str) else ""


def _answer_id(body: bytes) -> str:
    try:
        found = _read_told(body).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return found[:_LONGEST_ID] if isinstance(found, str) else ""


def _server(url: URL) -> Mapping[str, AttributeValue]:
    if not url.host:
        return {}
    return {"server.address": url.host, **({"server.port": url.port} if url.port else {})}


def _usage(usage: Usage) -> Attributes:
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST
