"""What is known of models, by their names: what their APIs refuse decides how a request for them is written.

Sources, read in November 2026: OpenAI's model pages and "Reasoning models" guide (max_completion_tokens, no sampling
parameters, efforts), Anthropic's "Models overview" (largest output) and "Effort" page. A provider's `config` wins:
`maxOutputTokens`, `reasoning`, `tokenLimitField`. A model that is not here is taken to be usual.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Literal

LimitField = Literal["max_tokens", "max_completion_tokens"]
LOW_TO_HIGH: Final = ("low", "medium", "high")
UP_TO_XHIGH: Final = (*LOW_TO_HIGH, "xhigh")
UP_TO_MAX: Final = (*UP_TO_XHIGH, "max")
ON: Final = ("enabled",)
NEAREST: Final = {"minimal": "low", "xhigh": "high", "max": "xhigh"}


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """`efforts` are those it takes, `thinking` the types of `thinking` that it does; None when that is not known.

    A `reasoning` model of OpenAI takes no sampling parameters and no stop words. `is_known`: it stands in the table.
    """

    max_output: int | None = None
    reasoning: bool = False
    efforts: tuple[str, ...] | None = ()
    thinking: tuple[str, ...] | None = None
    is_known: bool = True

    def nearest_effort(self, effort: str) -> str | None:
        """`effort`, or the nearest one that the model has; None when it has none."""
        if self.efforts is None:
            return effort
        wanted: str | None = effort
        while wanted is not None and wanted not in self.efforts:
            wanted = NEAREST.get(wanted)
        return wanted


_MODELS: Final = tuple(
    (re.compile(pattern), facts)
    for pattern, facts in (
        (r"gpt-5[.\d]*-chat", ModelFacts(16_384)),
        (r"gpt-5", ModelFacts(128_000, True, ("none", "minimal", *UP_TO_XHIGH))),
        (r"o[134](?:-|$)", ModelFacts(100_000, True, LOW_TO_HIGH)),
        (r"gpt-4\.1", ModelFacts(32_768)),
        (r"gpt-4o", ModelFacts(16_384)),
        (r"gpt-4-turbo|gpt-3\.5", ModelFacts(4_096)),
        (r"gpt-oss", ModelFacts(None, False, LOW_TO_HIGH)),
        (r"claude-3-(?:haiku|opus|sonnet)", ModelFacts(4_096, thinking=())),
        (r"claude-3-5", ModelFacts(8_192, thinking=())),
        (r"claude-3-7|claude-(?:sonnet|haiku)-4-5|claude-sonnet-4(?:-2|$)", ModelFacts(64_000, thinking=ON)),
        (r"claude-opus-4(?:-1|-2|$)", ModelFacts(32_000, thinking=ON)),
        (r"claude-opus-4-5", ModelFacts(64_000, False, LOW_TO_HIGH, ON)),
        (r"claude-(?:opus|sonnet|haiku)-(?:4-[6-9]|[5-9])", ModelFacts(128_000, False, UP_TO_MAX)),
    )
)


_THINKING: Final = re.compile(r"gpt-(?:5(?![.\d]*-chat)|[6-9]|oss)|o[134](?:-|$)|claude-[a-z]+-[5-9]")


def thinks_unseen(model: str) -> bool | None:
    """Whether a model may make thoughts that nobody sees and nobody asked for; None for one that is not known."""
    name = model.rpartition("/")[2].lower()
    if _THINKING.match(name):
        return True
    return next((False for pattern, _ in _MODELS if pattern.match(name)), None)


def facts_of(model: str, kind: str, options: Mapping[str, Any]) -> ModelFacts:
    """What is known of `model` at a provider of type `kind` with these options.

    An effort goes to unknown models of the vendors; other servers are told one only when `reasoning` is set.
    """
    facts = _row_of(model)
    if facts is None:
        facts = ModelFacts(efforts=() if kind == "openai-compatible" else None, is_known=False)
    if isinstance(most := options.get("maxOutputTokens"), int):
        facts = replace(facts, max_output=most)
    if isinstance(reasoning := options.get("reasoning"), bool):
        efforts = (facts.efforts or LOW_TO_HIGH) if reasoning else ()
        facts = replace(facts, reasoning=reasoning, efforts=efforts, is_known=True)
    return facts


@lru_cache(1024)
def _row_of(model: str) -> ModelFacts | None:
    name = model.rpartition("/")[2].lower()
    return next((facts for pattern, facts in _MODELS if pattern.match(name)), None)


def limit_field(facts: ModelFacts, kind: str, options: Mapping[str, Any]) -> LimitField:
    """How chat completions of a provider of type `kind` call the limit of the answer."""
    if (field := options.get("tokenLimitField")) in ("max_tokens", "max_completion_tokens"):
        return field  # type: ignore[no-any-return]
    return "max_completion_tokens" if kind == "openai" or facts.reasoning else "max_tokens"
