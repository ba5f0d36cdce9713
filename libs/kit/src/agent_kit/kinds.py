"""How the value of a setting is written as text: the one place that turns text into a typed value.

A kind knows what it allows in words, so that the error, the help and the reference all say the same.
"""

import math
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True)
class Kind:
    """What is allowed, in words, and how it is read. `parse` raises ValueError for any other text."""

    allowed: str
    parse: Callable[[str], object]


def kind_of(hint: Any, *, at_least: float | None = None, at_most: float | None = None) -> Kind:  # noqa: ANN401
    """How a value annotated with `hint` is written, within inclusive bounds. TypeError for other annotations."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (each for each in arguments if each is not types.NoneType)
        return kind_of(inner, at_least=at_least, at_most=at_most)
    if origin is tuple and arguments[1:] == (...,):
        return _list_of(kind_of(arguments[0], at_least=at_least, at_most=at_most))
    if hint in (int, float):
        return _number(hint, at_least, at_most)
    if at_least is not None or at_most is not None:
        raise TypeError(f"bounds are for numbers, not for {hint}")
    if origin is Literal:
        return _choice({str(each): each for each in arguments})
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _choice({each.value: each for each in hint})
    plain = {str: Kind("text", str), Path: Kind("a path", Path), bool: Kind("true or false", _parse_bool)}
    if hint not in plain:
        raise TypeError(f"{hint} is not a type of setting")
    return plain[hint]


def _parse_bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(text)
    return word in _TRUE


def _choice(values: Mapping[str, object]) -> Kind:
    def parse(text: str) -> object:
        if text not in values:
            raise ValueError(text)
        return values[text]

    return Kind("one of " + ", ".join(values), parse)


def _list_of(item: Kind) -> Kind:
    def parse(text: str) -> object:
        return tuple(item.parse(part.strip()) for part in text.split(",") if part.strip())

    return Kind(f"{item.allowed}; several are separated by commas", parse)


def _number(kind: type[int] | type[float], at_least: float | None, at_most: float | None) -> Kind:
    least = -math.inf if at_least is None else at_least
    most = math.inf if at_most is None else at_most

    def parse(text: str) -> object:
        if kind is int and not re.fullmatch(r"[+-]?[0-9]+", text.strip()):
            raise ValueError(text)
        number = kind(text)
        if math.isnan(number) or number in (math.inf, -math.inf) or not least <= number <= most:
            raise ValueError(text)
        return number

    allowed = "a whole number" if kind is int else "a number"
    allowed += "" if at_least is None else f" from {at_least}"
    allowed += "" if at_most is None else f" up to {at_most}"
    return Kind(allowed, parse)
