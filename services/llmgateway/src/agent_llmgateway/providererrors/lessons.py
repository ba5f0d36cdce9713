"""What a refusal teaches about a model: the settings with which the same request would not have been refused.

Nobody describes every model, but an API that refuses a limit says what it would have taken. A request that was written
for another model (by an alias, a failover or another dialect) is then sent once more within that limit. The messages
are those of OpenAI, Anthropic, Gemini, Bedrock, Groq, DeepSeek, Qwen, Mistral, Cohere, OpenRouter, vLLM and SGLang.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import Failure

Options = Mapping[str, Any]
NO_OPTIONS: Final[Options] = {}
LEAST_OUTPUT: Final = 256
"""A smaller number in a message is a status, a price or a count of something else."""
LEAST_LEFT: Final = 1024
"""Of a context: when less is left for the answer, the conversation is what is too long."""
_STATUSES: Final = frozenset({400, 403, 404, 422})
_FIELDS: Final = ("max_tokens", "max_completion_tokens")
_NAMES_LIMIT: Final = re.compile(
    r"max[ _](?:(?:completion|output|new)[ _])?tokens|maxOutputTokens|maximum tokens|(?:completion|output) tokens",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"(?<![\w.-])(\d{1,3}(?:,\d{3})+|\d{1,9})(?![\w-])")
_BEYOND: Final = re.compile(r"(\d{1,9}) \(exclusive\)")
_CONTEXT: Final = (
    re.compile(r"context length (?:is|of) (?P<all>\d{1,9}) tokens and your request has (?P<input>\d{1,9}) input"),
    re.compile(
        r"context length is (?P<all>\d{1,9}) tokens.{0,120}\((?P<input>\d{1,9}) (?:of text input|in the|in your)"
    ),
    re.compile(r"exceed context limit: (?P<input>\d{1,9}) \+ \d{1,9} > (?P<all>\d{1,9})"),
    re.compile(r"context length of (?P<all>\d{1,9}) tokens.{0,120} (?P<input>\d{1,9}) tokens from the input"),
)
_UNWANTED: Final = re.compile(
    r"unsupported|not supported|does not support|unrecognized|unknown|unexpected|extra (?:inputs|fields)|not permitted"
    r"|instead|verified",
    re.IGNORECASE,
)
_STREAM: Final = re.compile(r"\bstream(?:ing|ed|s|_options)?\b", re.IGNORECASE)
_SHORT_IDS: Final = re.compile(r"tool call id .{0,160}length of 9\b", re.IGNORECASE | re.DOTALL)
_USAGE: Final = re.compile(r"\bstream_options\b|\binclude_usage\b")


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, as far as it may be why it was refused.

    `field` is what it called the limit of the answer, `limit` is that limit in tokens. `as_stream`: the provider was
    asked for a stream although the client did not; `asks_usage`: likewise for the usage of a stream.
    """

    field: str = ""
    limit: int | None = None
    as_stream: bool = False
    asks_usage: bool = False


@dataclass(frozen=True, slots=True)
class Lesson:
    """`options` are settings of the provider, as in its `config`. `lasts`: they hold for the model, not only now."""

    options: Options
    lasts: bool = True


def may_teach(failure: Failure) -> bool:
    """Whether `failure` is about the request."""
    return failure.status in _STATUSES and failure.cause in (Cause.REFUSED, Cause.UNSUITED, Cause.CONTEXT)


def read_lesson(failure: Failure, sent: Sent) -> Lesson | None:
    """What `failure` teaches; None when it says nothing that helps."""
    message = failure.message
    if sent.limit is not None and (lesson := _read_limit(message, failure.status, sent.limit)) is not None:
        return lesson
    if _SHORT_IDS.search(message):
        return Lesson({"toolIds": "short"})
    return _read_wish(failure, sent) if _UNWANTED.search(message) else None


def _read_wish(failure: Failure, sent: Sent) -> Lesson | None:
    """What the provider does not want that the request had."""
    message = failure.message
    if sent.field in _FIELDS and re.search(rf"\b{sent.field}\b", message):
        return Lesson({"tokenLimitField": _FIELDS[1 - _FIELDS.index(sent.field)]})
    if sent.asks_usage and _USAGE.search(message):
        return Lesson({"streamUsage": False})
    if sent.as_stream and ((failure.param or "").startswith("stream") or _STREAM.search(message)):
        return Lesson({"streamWhole": False})
    return None


def _read_limit(message: str, status: int, limit: int) -> Lesson | None:
    for pattern in _CONTEXT:
        if found := pattern.search(message):
            left = int(found["all"]) - int(found["input"])
            left -= left // 64  # the input is often an estimate
            return Lesson({"maxOutputTokens": left}, lasts=False) if LEAST_LEFT <= left < limit else None
    if not _NAMES_LIMIT.search(message):
        return None
    beyond = {int(number) for number in _BEYOND.findall(message)}
    told = {int(number.replace(",", "")) for number in _NUMBER.findall(message)} | {each - 1 for each in beyond}
    fitting = [each for each in told if LEAST_OUTPUT <= each < limit and each != status and each not in beyond]
    return Lesson({"maxOutputTokens": max(fitting)}) if fitting else None
