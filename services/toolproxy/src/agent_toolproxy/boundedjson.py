"""JSON from others: bounded before it is parsed, and written so that every reader takes it.

A few megabytes of `[[],[],...` become a gigabyte of objects, and nesting ends in a recursion error wherever it is
walked later. So structure is counted on the text first, in time linear in its length. What we write has no lone
surrogates and no infinities: readers other than Python's refuse the whole document for one of them.
"""

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final

DEEPEST: Final = 128
DEEPEST_LIST: Final = 700
"""Of a message of a server: one definition that is too deep is set aside later, alone. Python recurses to 1000."""
MOST_VALUES: Final = 200_000
_BRACKET: Final = re.compile(rb"[\[\]{}]")
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""One without an end reaches to the end of the text. Nothing is ever given back, so that nothing is tried again."""
_ESCAPE: Final = re.compile(
    r"\\(?:u(?P<high>d[89ab][0-9a-f]{2})(?P<low>\\ud[c-f][0-9a-f]{2})?|u(?P<alone>d[c-f][0-9a-f]{2})|.)"
)


def load_json(text: bytes | str, *, deepest: int = DEEPEST, most_values: int = MOST_VALUES) -> Any:  # noqa: ANN401 - any JSON
    """JSON as the standard has it. Raises ValueError, also for more nesting or more values than are allowed."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    _check_structure(data, deepest, most_values)
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def dump_json(value: Any) -> str:  # noqa: ANN401 - any JSON
    """One line, ASCII: no line separator that a reader could stumble over. A lone surrogate becomes U+FFFD."""
    text = json.dumps(value, separators=(",", ":"))
    return _ESCAPE.sub(_paired, text) if "\\ud" in text else text


def is_deeper(value: Any, deepest: int) -> bool:  # noqa: ANN401 - any JSON
    """Whether `value` is nested more than `deepest` deep; found without recursion."""
    level = [value]
    for _ in range(deepest):
        level = [each for part in level for each in _inner(part) if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def _inner(value: Any) -> Iterable[Any]:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _check_structure(data: bytes, deepest: int, most_values: int) -> None:
    opened = data.count(b"[") + data.count(b"{")
    if opened <= deepest and opened + data.count(b",") <= most_values:
        return
    bare = _STRING.sub(b"", data)
    if bare.count(b"[") + bare.count(b"{") + bare.count(b",") > most_values:
        raise ValueError(f"more than {most_values} values")
    depth = 0
    for found in _BRACKET.finditer(bare):
        depth += 1 if found[0] in b"[{" else -1
        if depth > deepest:
            raise ValueError(f"nested more than {deepest} deep")


def _paired(found: re.Match[str]) -> str:
    return "\\ufffd" if found["alone"] or (found["high"] and not found["low"]) else found[0]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number that is too large")
    return value
