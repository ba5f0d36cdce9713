"""What each try of a request is charged, and what a request reserves before it is sent.

An agent decides how a request ends and a provider what it says of it, so neither is believed beyond reason. What a
provider says is charged when it can be true; what nobody said is charged at the most that it can have been:

- input: a token for each byte of text, and media by the rules of `wire.mediatokens`. Where another try of the same
  request was counted by its provider, that count;
- output: what came of it, a token for each byte; where the end was not seen and the model may think without showing it,
  its limit, or `HIDDEN_TOKENS` without one;
- a status with which a provider refuses before it works, and a request that was never sent, cost nothing.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from agent_api.gatewayconfig import GatewayConfig
from agent_llmgateway.budget.price import cost_micro_usd
from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import Failure
from agent_llmgateway.wire.call import Call
from agent_llmgateway.wire.lenient import read_json
from agent_llmgateway.wire.meter import TryMeter
from agent_llmgateway.wire.models import thinks_unseen
from agent_llmgateway.wire.requestsize import RequestSize, measure_request
from agent_llmgateway.wire.textsize import size_of
from agent_llmgateway.wire.tokencount import COUNTS
from agent_llmgateway.wire.usage import MOST_TOKENS, Usage

HIDDEN_TOKENS: Final = 16_384
"""Charged for thoughts that nobody showed or counted, when the request sets no limit."""
LONGEST_OUTPUT_TOKENS: Final = 131_072
"""Reserved for an answer without a limit: the longest that a current model makes."""
USUAL_CONTEXT_TOKENS: Final = 200_000
"""Of a model whose context is not known: what may be read of what the provider keeps."""
PICTURE_FACTOR: Final = 34
_DEAR_PICTURES: Final = "4o-mini"
"""This model counts so many times the tokens for a picture, at a price so many times lower."""
UNSEEN_INPUT_TOKENS: Final = 200_000
"""Believed of a provider beyond what the request holds: what it adds by itself, such as results of a search."""
LEAST_SHARE: Final = 16
"""A provider that counts less than a token for so many bytes is not believed."""
DENSE_BYTES: Final = 3
"""Then a token is counted for so many bytes, more than text has."""
_REFUSED: Final = frozenset({Cause.KEY, Cause.RATE_LIMIT, Cause.REFUSED, Cause.CONTEXT})
_REFUSED_STATUS: Final = frozenset({404, 405, 409, 410, 413, 415, 421, 422, 424, 425, 426, 501})


class Charge(msgspec.Struct, frozen=True):
    """What one try costs, in money where that is limited. `usage` is what was charged, by count or by estimate."""

    route: Route
    usage: Usage
    micro_usd: int


class RequestBounds(msgspec.Struct, frozen=True):
    """What is known of a request before it is sent.

    `kept_tokens` may be read beside the request, from what the provider keeps. `output_limit` is for each of its
    `choices`. An answer of embeddings makes no text.
    """

    size: RequestSize
    kept_tokens: int = 0
    choices: int = 1
    output_limit: int | None = None
    makes_text: bool = True
    premium: bool = False
    regional: bool = False
    asks_to_think: bool = False

    def most_input(self, model: str) -> int:
        """Tokens for `model`, also of what the provider keeps."""
        pictures = PICTURE_FACTOR if _DEAR_PICTURES in model else 1
        return self.size.text_bytes + self.size.media_tokens * pictures + self.kept_tokens

    def most_reserved(self, model: str) -> int:
        """As `most_input`, and by what documents and sound may be longer than they say."""
        return self.most_input(model) + self.size.doubtful_tokens

    def most_output(self, longest_seen: int, *, without_limit: int) -> int:
        """Tokens of all choices, however many; `longest_seen` is the longest answer that came in spite of its limit."""
        if not self.makes_text:
            return 0
        each = max(without_limit if self.output_limit is None else self.output_limit, longest_seen)
        return min(MOST_TOKENS, self.choices * each)


def bounds_of(call: Call, config: GatewayConfig, routes: Sequence[Route]) -> RequestBounds:
    """What a call says of itself."""
    envelope, name = call.envelope, call.dialect.name
    size = measure_request(call.body, call.dialect.family)
    return RequestBounds(
        size=size,
        kept_tokens=max(config.context_of(*route) or USUAL_CONTEXT_TOKENS for route in routes) if size.is_open else 0,
        choices=max(1, envelope.n or 1) if name == "chat" else 1,
        output_limit=envelope.output_limit_tokens(name),
        makes_text=name not in ("embeddings", *COUNTS),
        premium=envelope.is_premium,
        regional=envelope.is_regional,
        asks_to_think=envelope.thinking is not None,
    )


def charge_tries(
    config: GatewayConfig, bounds: RequestBounds, tries: list[TryMeter], longest_seen: int
) -> list[Charge]:
    """What the tries of a request cost, in order; those that cost nothing are left out."""
    known = [_believed_input(bounds, each.known_usage) for each in tries]
    input_tokens = max((usage.input_tokens for usage in known if usage is not None), default=None)
    charges = []
    for trial, believed in zip(tries, known, strict=True):
        if is_free(trial):
            continue
        told = _unknown(bounds, trial, input_tokens) if believed is None else believed
        usage, route = usage_of_try(bounds, trial, longest_seen, told), Route(trial.provider, trial.model)
        charges.append(Charge(route, usage, cost_of(config, bounds, route, usage)))
    return charges


def cost_of(config: GatewayConfig, bounds: RequestBounds, route: Route, usage: Usage) -> int:
    """Millionths of a dollar, where money is limited."""
    if not config.limits_money:
        return 0
    return cost_micro_usd(config, route, usage, premium=bounds.premium, regional=bounds.regional) or 0


def is_free(trial: TryMeter) -> bool:
    """Whether a try certainly cost nothing: it was not sent, or refused before anything was made of it."""
    failure = trial.failure
    if failure is None or trial.stream is not None or trial.is_answered:
        return False
    if not failure.is_sent:
        return True
    return failure.cause in _REFUSED or (failure.cause is Cause.UNSUITED and failure.status in _REFUSED_STATUS)


def _unknown(bounds: RequestBounds, trial: TryMeter, counted_input: int | None) -> Usage:
    """Of a try whose provider said nothing of its input, or what cannot be true."""
    most = bounds.most_reserved(trial.model) if counted_input is None else counted_input
    said = trial.known_usage
    return Usage(most, 0 if said is None else said.output_tokens)


def usage_of_try(bounds: RequestBounds, trial: TryMeter, longest_seen: int, known: Usage) -> Usage:
    """What is charged for a try: what its provider said as far as that can be true, else the most it can have been."""
    made = _made_bytes(trial, known.output_tokens)
    if trial.is_finished and trial.known_usage is not None and _is_output_told(bounds, known.output_tokens, made):
        return known
    return _with_output(known, _output_of(bounds, trial, known, made, longest_seen))


def _output_of(bounds: RequestBounds, trial: TryMeter, known: Usage, made: int, longest_seen: int) -> int:
    """Of an answer whose output nobody told, or told too low or too high to be true."""
    told = known.output_tokens if known.output_tokens <= _most_believed(bounds, made) else 0
    if trial.is_finished and told:
        return max(told, -(-made // DENSE_BYTES))
    hidden = bounds.most_output(longest_seen, without_limit=HIDDEN_TOKENS) if _may_hide(bounds, trial) else 0
    return max(told, made, hidden)


def _may_hide(bounds: RequestBounds, trial: TryMeter) -> bool:
    """Whether more may have been made than has come: thoughts, or a whole answer that was not waited for.

    A whole answer of an unknown model that says nothing of its usage is taken for all that was made.
    """
    if trial.is_finished:
        lied = trial.known_usage is not None and trial.known_usage.output_tokens > 0
        return thinks_unseen(trial.model) is True or (lied and thinks_unseen(trial.model) is None)
    if trial.stream is None:
        return trial.failure is None or not _is_status(trial.failure)
    unseen = thinks_unseen(trial.model)
    return bounds.asks_to_think or unseen is True or (unseen is None and not trial.is_message)


def _is_status(failure: Failure) -> bool:
    """Whether the provider said that it failed, and so made nothing."""
    return failure.cause not in (Cause.SILENT, Cause.SLOW, Cause.BROKEN)


def _believed_input(bounds: RequestBounds, usage: Usage | None) -> Usage | None:
    """`usage` with an input that can be true; None for one that cannot."""
    if usage is None:
        return None
    size = bounds.size
    most = size.text_bytes + PICTURE_FACTOR * size.media_tokens + size.doubtful_tokens
    most += UNSEEN_INPUT_TOKENS + 8 * bounds.kept_tokens
    if usage.input_tokens > most:
        return None
    least = size.text_bytes // LEAST_SHARE
    if usage.input_tokens < least:
        return Usage(-(-size.text_bytes // DENSE_BYTES) + size.media_tokens, usage.output_tokens)
    return usage


def _most_believed(bounds: RequestBounds, made: int) -> int:
    limit = LONGEST_OUTPUT_TOKENS if bounds.output_limit is None else bounds.output_limit
    return bounds.choices * max(limit, LONGEST_OUTPUT_TOKENS) + made


def _is_output_told(bounds: RequestBounds, told: int, made: int) -> bool:
    return made // LEAST_SHARE <= told <= _most_believed(bounds, made)


def _made_bytes(trial: TryMeter, told: int) -> int:
    """Of what the model has made, as far as it has come. A whole answer is read only when `told` may be too low."""
    if trial.stream is not None:
        return trial.stream.text_bytes
    if len(trial.answer) // LEAST_SHARE <= told:
        return 0
    try:
        answer = read_json(trial.answer)
    except MalformedEventError:
        return len(trial.answer)
    if not isinstance(answer, dict):
        return 0
    return size_of([answer.get(name) for name in ("choices", "output", "content")])


def _with_output(usage: Usage, output: int) -> Usage:
    return Usage(
        usage.input_tokens,
        output,
        usage.cached_tokens,
        usage.cache_write_tokens,
        min(usage.reasoning_tokens, output),
        usage.long_cache_write_tokens,
    )
