"""Ranges of node versions, as npm writes them in `engines`: only what deciding needs.

1.2.3  ^1.2  ~1.2  >=18 <21  18 || 20  18.x  *  1.2 - 2
"""

import re
from typing import Final

_PARTS: Final = r"[v=]*(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:[-+][\w.+-]*)?"
_COMPARATOR: Final = re.compile(rf"(>=|<=|>|<|=|\^|~>?)?\s*{_PARTS}")
_HYPHEN: Final = re.compile(rf"\s*({_PARTS})\s+-\s+({_PARTS})\s*")
_END: Final = 1 << 30
Version = tuple[int, int, int]


def newest_of(version: str) -> Version:
    """The newest version that `version`, such as 22 or 22.4, may stand for."""
    numbers = [int(part) for part in re.findall(r"\d+", version)[:3]]
    padded = [*numbers, _END, _END, _END]
    return padded[0], padded[1], padded[2]


def satisfies(version: Version, wanted: str) -> bool:
    """Whether `version` is in the range `wanted`; a range that cannot be read holds everything."""
    alternatives = [_read_all(part) for part in wanted.split("||")]
    if any(bounds is None for bounds in alternatives):
        return True
    return any(all(low <= version < high for low, high in bounds) for bounds in alternatives if bounds is not None)


def _read_all(text: str) -> list[tuple[Version, Version]] | None:
    if hyphen := _HYPHEN.fullmatch(text):
        text = f">={hyphen[1]} <={hyphen[5]}"
    rest = re.sub(r"\s+", " ", text.strip())
    bounds = []
    while rest:
        found = _COMPARATOR.match(rest)
        if found is None:
            return None
        bounds.append(_bounds(found[1] or "", [found[2], found[3], found[4]]))
        rest = rest[found.end() :].lstrip(" ,")
    return bounds


def _bounds(operator: str, parts: list[str | None]) -> tuple[Version, Version]:
    numbers = []
    for part in parts:
        if part is None or part in "xX*":
            break
        numbers.append(int(part))
    low = _pad(numbers)
    after = _next(numbers, len(numbers) - 1)  # the first version that the written part does not name
    if not numbers:
        return _pad([]), (_END, _END + 1, 0)
    end: Version = (_END, _END + 1, 0)
    if operator == "^":
        significant = next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
        return low, _next(numbers, significant)
    ranges: dict[str, tuple[Version, Version]] = {
        ">=": (low, end),
        ">": (after, end),
        "<": ((0, 0, 0), low),
        "<=": ((0, 0, 0), after),
        "~": (low, _next(numbers, min(1, len(numbers) - 1))),
    }
    return ranges.get(operator.replace("~>", "~"), (low, after))


def _pad(numbers: list[int]) -> Version:
    padded = [*numbers, 0, 0, 0]
    return padded[0], padded[1], padded[2]


def _next(numbers: list[int], at: int) -> Version:
    return _pad([*numbers[:at], numbers[at] + 1]) if at >= 0 else (_END, _END + 1, 0)
