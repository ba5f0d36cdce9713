"""A rule of an API: what it refuses, and where that is known from."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What is known of the model that is asked."""

    most_output: int = 16_384
    reasons: bool = False
    streams: bool = True


@dataclass
class Memory:
    """What one provider has made: it knows its own thoughts and items, and no others."""

    secret: str = "of this provider"
    items: dict[str, Document] = field(default_factory=dict)
    responses: set[str] = field(default_factory=set)
    seals: set[str] = field(default_factory=set)


Check = Callable[[Document, Facts, Memory], Iterator[str]]


@dataclass(frozen=True)
class Rule:
    """`check` yields a message, in the API's own words, for each thing that is refused."""

    about: str
    source: str
    check: Check


def first_refusal(rules: list[Rule], body: Document, facts: Facts, memory: Memory) -> tuple[Rule, str] | None:
    """The first thing that is refused."""
    return next(((rule, message) for rule in rules for message in rule.check(body, facts, memory)), None)


def unknown(document: Document, known: set[str], where: str = "") -> Iterator[str]:
    """Names of fields that the API does not have."""
    yield from (f"{where}{name}" for name in document if name not in known)


def is_name(name: Any, longest: int) -> bool:
    return isinstance(name, str) and bool(re.fullmatch(rf"[a-zA-Z0-9_-]{{1,{longest}}}", name))


def open_objects(schema: Any, *, all_required: bool) -> Iterator[str]:
    """Objects of a strict schema that are not closed, or have properties that need not be there."""
    if isinstance(schema, list):
        for each in schema:
            yield from open_objects(each, all_required=all_required)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            yield "'additionalProperties' is required to be supplied and to be false"
        if all_required and set(schema.get("properties") or {}) != set(schema.get("required") or ()):
            yield "'required' is required to be supplied and to be an array including every key in properties"
    for value in schema.values():
        yield from open_objects(value, all_required=all_required)
