"""What chat completions of a model refuse, taken out of a request or carried in the nearest form, and named."""

from typing import Any, Final

from agent_llmgateway.wire.translate.base import Target
from agent_llmgateway.wire.translate.toolids import shorten_ids

Document = dict[str, Any]
LONGEST_USER: Final = 64
MOST_STOP_WORDS: Final = 4
"""OpenAI's limits of `user` and `stop`. Other servers have none of `stop`; `user` is a hint, and some refuse it too."""
_NOT_FOR_REASONING: Final = (
    "temperature", "top_p", "stop", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias",
)  # fmt: skip


def fit_chat(document: Document, target: Target) -> Document:
    """`document` as the target takes it."""
    facts = target.facts
    _fit_effort(document, target)
    limit = document.get(target.limit_field)
    if facts.max_output is not None and limit is not None and limit > facts.max_output:
        target.drop("max_tokens")
        document[target.limit_field] = facts.max_output
    if facts.reasoning:
        for name in _NOT_FOR_REASONING:
            if name in document:
                target.drop(name)
                del document[name]
    if target.kind == "openai-compatible":
        document["messages"] = lead_with_instructions(document["messages"])
    if target.options.get("toolIds") == "short":
        shorten_ids(document["messages"])
    if len(document.get("user") or "") > LONGEST_USER:
        target.drop("user")
        del document["user"]
    if target.kind == "openai" and isinstance(words := document.get("stop"), list) and len(words) > MOST_STOP_WORDS:
        target.drop("stop")
        document["stop"] = words[:MOST_STOP_WORDS]
    return document


def _fit_effort(document: Document, target: Target) -> None:
    """The effort, or the nearest one that the model has. `none` is no wish that a model without efforts could miss."""
    effort = document.pop("reasoning_effort", None)
    if effort is None:
        return
    nearest = target.facts.nearest_effort(effort)
    if effort not in (nearest, "none"):
        target.drop("reasoning_effort")
    if nearest is not None:
        document["reasoning_effort"] = nearest


def lead_with_instructions(turns: list[Document]) -> list[Document]:
    """One system turn at the beginning: templates of open models refuse a second one, and any that comes later.

    Instructions in the middle are the user's then, as for the messages API.
    """
    count = next((place for place, turn in enumerate(turns) if turn["role"] != "system"), len(turns))
    heads, rest = turns[:count], turns[count:]
    rest = [{**turn, "role": "user"} if turn["role"] == "system" else turn for turn in rest]
    if count < 2:
        return [*heads, *rest]
    return [{"role": "system", "content": "\n\n".join(_text(turn["content"]) for turn in heads)}, *rest]


def _text(content: str | list[Document]) -> str:
    return content if isinstance(content, str) else "\n\n".join(part["text"] for part in content)
