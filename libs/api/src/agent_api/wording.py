"""Pydantic's error types in the words of someone who writes YAML."""

from collections.abc import Callable, Mapping
from typing import Any

Context = Mapping[str, Any]

_WORDS: Mapping[str, Callable[[Context], str]] = {
    "rule": lambda c: str(c["message"]),
    "missing": lambda _: "is required",
    "extra_forbidden": lambda _: "unknown field",
    "value_error": lambda c: str(c["error"]),
    "string_pattern_mismatch": lambda c: f"must match {c['pattern']}",
    "literal_error": lambda c: f"must be {c['expected']}".replace("'", '"'),
    "string_type": lambda _: 'must be a string: quote it, as in "3.12"',
    "int_type": lambda _: "must be a whole number, without quotes",
    "int_from_float": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number, without quotes",
    "bool_type": lambda _: "must be true or false, without quotes",
    "tuple_type": lambda _: "must be a list",
    "dict_type": lambda _: "must be a mapping",
    "model_type": lambda _: "must be a mapping",
    "greater_than": lambda c: f"must be more than {c['gt']}",
    "greater_than_equal": lambda c: f"must be at least {c['ge']}",
    "less_than_equal": lambda c: f"must be at most {c['le']}",
    "string_too_long": lambda c: f"must be at most {c['max_length']} characters",
    "string_too_short": lambda c: f"must be at least {c['min_length']} characters",
    "too_long": lambda c: f"must have at most {c['max_length']} items",
    "too_short": lambda c: f"must have at least {c['min_length']} items",
}


def describe(error_type: str, context: Context) -> str:
    """The message for a pydantic error type; one that is not in the table keeps its own name."""
    words = _WORDS.get(error_type)
    return words(context) if words else f"is not valid ({error_type.replace('_', ' ')})"
