"""How much of an event or an answer is what the model made, in bytes."""

from typing import Any, Final

NOT_TEXT: Final = frozenset({"type", "id", "index", "role", "item_id", "call_id", "signature", "status", "object"})
"""Fields that no model makes."""


def size_of_text(text: str) -> int:
    """Bytes of a text; most is ASCII, where counting is free."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def size_of(value: Any) -> int:  # noqa: ANN401 - JSON
    """Bytes of all texts in `value`, without names of fields. Without recursion: an answer may be nested deeply."""
    total = 0
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            total += size_of_text(part)
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += [each for name, each in part.items() if name not in NOT_TEXT]
    return total
