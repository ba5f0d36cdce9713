"""Ids of tool calls that every API takes.

Anthropic wants letters, digits, `_` and `-`; OpenAI at most 40 characters in chat completions and 64 in responses;
other providers make `functions.get_weather:0`. A conversation that went to one provider has to go on at another, so
an id that not all of them take is exchanged for one that they do. The same id always becomes the same one: calls and
results stay together without anything being remembered.
"""

import hashlib
import re
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

LONGEST: Final = 40
SHORT_CHARACTERS: Final = 9
_SHORT: Final = re.compile(rf"[A-Za-z0-9]{{{SHORT_CHARACTERS}}}")
_PORTABLE: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST}}}")
_OTHER: Final = re.compile(r"[^A-Za-z0-9_-]+")
_DIGEST_CHARACTERS: Final = 12


def portable_id(call_id: str) -> str:
    """`call_id` itself where every API takes it."""
    if _PORTABLE.fullmatch(call_id):
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{_OTHER.sub('_', call_id)[: LONGEST - _DIGEST_CHARACTERS - 1]}_{digest}"


def shorten_ids(turns: Iterable[dict[str, Any]]) -> None:
    """Ids of nine letters and digits in the turns of a completion, as Mistral wants them."""
    for turn in turns:
        if isinstance(turn.get("tool_call_id"), str):
            turn["tool_call_id"] = _short_id(turn["tool_call_id"])
        calls = turn.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict) and isinstance(call.get("id"), str):
                call["id"] = _short_id(call["id"])


def _short_id(call_id: str) -> str:
    if _SHORT.fullmatch(call_id):
        return call_id
    return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:SHORT_CHARACTERS]


class CallIds:
    """Ids of the calls of one conversation, each for one call: some servers number those of every answer anew."""

    def __init__(self) -> None:
        self._uses: dict[str, int] = {}
        self._open: dict[str, deque[int]] = {}

    def of_call(self, call_id: str) -> str:
        """For the next call that has this id."""
        use = self._uses[call_id] = self._uses.get(call_id, 0) + 1
        self._open.setdefault(call_id, deque()).append(use)
        return _id_of_use(call_id, use)

    def of_result(self, call_id: str) -> str:
        """For a result, which belongs to the first call with this id that has none yet, else to the last one."""
        waiting = self._open.get(call_id)
        return _id_of_use(call_id, waiting.popleft() if waiting else self._uses.get(call_id, 1))


def _id_of_use(call_id: str, use: int) -> str:
    return portable_id(call_id if use == 1 else f"{call_id}.{use}")


def is_portable(call_id: str) -> bool:
    """Whether every API takes `call_id`."""
    return bool(_PORTABLE.fullmatch(call_id))
