"""The token usage of an answer as the provider reported it; nothing here is an estimate."""

from typing import Any, Final

import msgspec

Document = dict[str, Any]
MOST_TOKENS: Final = 1_000_000_000
"""A larger count is not believed."""


class Usage(msgspec.Struct, frozen=True):
    """`input_tokens` includes those read from (`cached_tokens`) and written to the provider's prompt cache.

    `output_tokens` includes `reasoning_tokens`, `cache_write_tokens` those that are kept longer than minutes.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    long_cache_write_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """What a token budget counts."""
        return self.input_tokens + self.output_tokens


def read_chat_usage(usage: object) -> Usage | None:
    """`usage` of a completion; None when the input is not told."""
    return _read_openai(usage, "prompt", "completion")


def read_response_usage(usage: object) -> Usage | None:
    """`usage` of a response; None when the input is not told."""
    return _read_openai(usage, "input", "output")


def read_message_usage(usage: object) -> Usage | None:
    """`usage` of a message. Anthropic counts cached input apart, `Usage` counts it in. None without any input."""
    if not isinstance(usage, dict):
        return None
    fresh, output = _count(usage.get("input_tokens")), _count_or_none(usage, "output_tokens")
    if fresh is None or output is None:
        return None
    cached = _count(usage.get("cache_read_input_tokens")) or 0
    written = _count(usage.get("cache_creation_input_tokens")) or 0
    for_long = min(_detail(usage.get("cache_creation"), "ephemeral_1h_input_tokens"), written)
    thought = min(_detail(usage.get("output_tokens_details"), "thinking_tokens"), output)
    return Usage(fresh + cached + written, output, cached, written, thought, for_long)


def read_message_output(usage: object) -> Usage | None:
    """`usage` of a `message_delta`, which may count the output alone."""
    if not isinstance(usage, dict):
        return None
    output = _count_or_none(usage, "output_tokens")
    if output is None:
        return None
    return read_message_usage(usage) or Usage(0, output)


def merge_usage(before: Usage | None, new: Usage | None) -> Usage | None:
    """Usage of a stream so far: counts only grow, and a later event may leave some out."""
    if before is None or new is None:
        return new or before
    return Usage(
        max(before.input_tokens, new.input_tokens),
        max(before.output_tokens, new.output_tokens),
        max(before.cached_tokens, new.cached_tokens),
        max(before.cache_write_tokens, new.cache_write_tokens),
        max(before.reasoning_tokens, new.reasoning_tokens),
        max(before.long_cache_write_tokens, new.long_cache_write_tokens),
    )


def chat_usage(usage: Usage) -> Document:
    """As a completion has it."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def message_usage(usage: Usage) -> Document:
    """As a message has it: cached input is counted apart."""
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
    }


def response_usage(usage: Usage) -> Document:
    """As a response has it."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


def _read_openai(usage: object, asked: str, made: str) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    prompt, output = _count(usage.get(f"{asked}_tokens")), _count_or_none(usage, f"{made}_tokens")
    if prompt is None or output is None:
        return None
    of_input, of_output = usage.get(f"{asked}_tokens_details"), usage.get(f"{made}_tokens_details")
    cached = _detail(of_input, "cached_tokens") or _count(usage.get("prompt_cache_hit_tokens")) or 0
    cached = min(cached, prompt)
    written = min(_detail(of_input, "cache_write_tokens"), prompt - cached)
    output, thought = _with_thoughts(prompt, output, _detail(of_output, "reasoning_tokens"), usage.get("total_tokens"))
    return Usage(prompt, output, cached, written, thought)


def _with_thoughts(prompt: int, output: int, thought: int, total: object) -> tuple[int, int]:
    """Output and thoughts in it. Some providers count thoughts beside the output, and only the total tells."""
    made = (_count(total) or 0) - prompt
    if made == output:
        return output, min(thought, output)
    if made > output:
        return made, min(max(thought, made - output), made)
    if thought > output:
        return output + thought, thought
    return output, min(thought, output)


def _count_or_none(usage: Document, name: str) -> int | None:
    """A count that may be missing, which is 0; None for one that is no count."""
    value = usage.get(name)
    return 0 if value is None else _count(value)


def _detail(details: object, name: str) -> int:
    return (_count(details.get(name)) or 0) if isinstance(details, dict) else 0


def _count(value: object) -> int | None:
    """A count, also one written as a float or as text; None for what is none."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_TOKENS:
        return None
    return int(value)
