"""A request that was written for another model, within what this one takes.

A client that asks for an alias, or whose request fails over, does not know the model that answers. Its limit, its
sampling parameters and its wish for thoughts are then guesses, which models refuse: they are carried in the nearest
form, and named. A request that names its model goes through as it is.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from agent_llmgateway.wire.envelope import Envelope
from agent_llmgateway.wire.translate.base import Target

Fields = dict[str, msgspec.Raw]
LEAST_THOUGHT: Final = 1024
"""Tokens that the messages API wants at least for thoughts."""
SEALED: Final = "reasoning.encrypted_content"
_decode_fields: Final = msgspec.json.Decoder(Fields).decode
_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_SAMPLING: Final = {
    "temperature": (1,), "top_p": (1,), "stop": ([],), "presence_penalty": (0,), "frequency_penalty": (0,),
    "logprobs": (False,), "top_logprobs": (), "logit_bias": ({},),
}  # fmt: skip
"""What reasoning models of OpenAI refuse, unless it has one of these values or is null."""
_NAMES: Final = tuple(f'"{name}"'.encode() for name in (*_SAMPLING, "reasoning", "reasoning_effort", "verbosity"))
"""Words of chat completions and responses that may have to change."""
_THOUGHTS: Final = (b'"thinking"', b'"output_config"')


def fit_request(dialect: str, body: bytes, target: Target, envelope: Envelope) -> bytes:
    """`body` as the model takes it. Raises NotCarriedError when something had to change and nothing may."""
    fit = _FITS.get(dialect)
    if fit is None or not _may_need_it(dialect, body, target, envelope):
        return body
    fields = _decode_fields(body)
    before = dict(fields)
    fit(fields, target)
    return body if fields == before else msgspec.json.encode(fields)


def _may_need_it(dialect: str, body: bytes, target: Target, envelope: Envelope) -> bool:
    most, limit = target.facts.max_output, envelope.output_limit_tokens(dialect)
    if limit is not None and most is not None and limit > most:
        return True
    if dialect == "chat" and limit is not None and _wanted_field(target) is not None:
        return True
    return any(name in body for name in (_THOUGHTS if dialect == "messages" else _NAMES))


def _fit_chat(fields: Fields, target: Target) -> None:
    field = _wanted_field(target)
    other = next((name for name in _LIMITS[:2] if name in fields and name != field), None)
    if field is not None and other is not None:
        value = fields.pop(other)
        fields.setdefault(field, value)
        target.drop(other)
    for name in _LIMITS[:2]:
        _clamp(fields, name, target)
    effort = _value(fields, "reasoning_effort")
    if isinstance(effort, str) and _knows_efforts(target):
        _set_effort(fields, "reasoning_effort", effort, target)
    _fit_sampling(fields, target)
    if _has_one_verbosity(target):
        _leave_out(fields, "verbosity", target, ("medium",))


def _fit_responses(fields: Fields, target: Target) -> None:
    _clamp(fields, "max_output_tokens", target)
    _fit_sampling(fields, target)
    if _knows_efforts(target):
        _fit_reasoning(fields, target)
    text = _value(fields, "text")
    if _has_one_verbosity(target) and isinstance(text, dict) and text.get("verbosity") not in (None, "medium"):
        target.drop("text.verbosity")
        fields["text"] = _raw({name: value for name, value in text.items() if name != "verbosity"})


def _fit_reasoning(fields: Fields, target: Target) -> None:
    """`reasoning`, and `include` of thoughts, for a model that has other efforts, or none."""
    facts, reasoning, include = target.facts, _value(fields, "reasoning"), _value(fields, "include")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    if not facts.efforts:
        if effort not in (None, "none"):
            target.drop("reasoning")
        fields.pop("reasoning", None)
        if isinstance(include, list) and SEALED in include:
            target.drop("include")
            fields["include"] = _raw([each for each in include if each != SEALED])
    elif isinstance(effort, str) and (nearest := facts.nearest_effort(effort)) != effort:
        target.drop("reasoning.effort")
        fields["reasoning"] = _raw({**reasoning, "effort": nearest})


def _fit_messages(fields: Fields, target: Target) -> None:
    _clamp(fields, "max_tokens", target)
    config = _value(fields, "output_config")
    if isinstance(config, dict) and isinstance(effort := config.get("effort"), str) and _knows_efforts(target):
        nearest = target.facts.nearest_effort(effort)
        if nearest != effort:
            target.drop("output_config.effort")
            rest = {name: value for name, value in config.items() if name != "effort"}
            fields["output_config"] = _raw(rest if nearest is None else {**rest, "effort": nearest})
    _fit_thinking(fields, target)


def _fit_thinking(fields: Fields, target: Target) -> None:
    wish, kinds, limit = _value(fields, "thinking"), target.facts.thinking, _value(fields, "max_tokens")
    if not isinstance(wish, dict) or wish.get("type") == "disabled" or not isinstance(limit, int):
        return
    kind, budget = wish.get("type"), wish.get("budget_tokens")
    if kinds is not None and kind not in kinds:
        kind, budget = ("enabled" if "enabled" in kinds else "disabled"), limit // 2
    if kind == "enabled" and isinstance(budget, int) and budget >= limit:
        budget = limit // 2
    if kind == "enabled" and isinstance(budget, int) and budget < LEAST_THOUGHT:
        kind = "disabled"
    if (kind, budget) == (wish.get("type"), wish.get("budget_tokens")):
        return
    target.drop("thinking")
    fields["thinking"] = _raw({"type": kind, "budget_tokens": budget} if kind == "enabled" else {"type": kind})


def _knows_efforts(target: Target) -> bool:
    """Whether it is known which efforts the model takes: another server's own models may take any."""
    return target.facts.efforts is not None and target.facts.is_known


def _has_one_verbosity(target: Target) -> bool:
    return target.kind == "openai" and target.is_vendor and target.facts.is_known and not target.facts.reasoning


def _wanted_field(target: Target) -> str | None:
    """What the limit has to be called; None where either name will do."""
    if (named := target.options.get("tokenLimitField")) in _LIMITS:
        return str(named)
    return "max_completion_tokens" if target.facts.reasoning else None


def _clamp(fields: Fields, name: str, target: Target) -> None:
    limit, most = _value(fields, name), target.facts.max_output
    if most is not None and isinstance(limit, int | float) and limit > most:
        target.drop(name)
        fields[name] = _raw(most)


def _fit_sampling(fields: Fields, target: Target) -> None:
    for name, neutral in _SAMPLING.items() if target.facts.reasoning else ():
        _leave_out(fields, name, target, neutral)


def _leave_out(fields: Fields, name: str, target: Target, neutral: tuple[Any, ...]) -> None:
    if name not in fields:
        return
    value = _value(fields, name)
    if value is not None and value not in neutral:
        target.drop(name)
    del fields[name]


def _set_effort(fields: Fields, name: str, effort: str, target: Target) -> None:
    nearest = target.facts.nearest_effort(effort)
    if nearest == effort:
        return
    if effort != "none":
        target.drop(name)
    if nearest is None:
        del fields[name]
    else:
        fields[name] = _raw(nearest)


def _value(fields: Fields, name: str) -> Any:  # noqa: ANN401 - JSON
    return msgspec.json.decode(fields[name]) if name in fields else None


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


_FITS: Final[dict[str, Callable[[Fields, Target], None]]] = {
    "chat": _fit_chat,
    "responses": _fit_responses,
    "messages": _fit_messages,
}
