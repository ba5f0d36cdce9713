"""A node of the CRD's schema in words: what it is, and what it may be."""

from collections.abc import Iterator, Mapping
from typing import Any

Node = Mapping[str, Any]


def type_of(node: Node) -> str:
    """Such as "string", "list of integer", "one of `a`, `b`"."""
    if "x-kubernetes-int-or-string" in node:
        return "integer or string"
    if "enum" in node:
        return f"one of {', '.join(f'`{value}`' for value in node['enum'])}"
    if node["type"] == "array":
        return f"list of {type_of(node['items'])}"
    if "additionalProperties" in node:
        return f"map of string to {type_of(node['additionalProperties'])}"
    return "object, as it is" if node["type"] == "object" else str(node["type"])


def bounds_of(node: Node, *, is_object: bool = False) -> Iterator[str]:
    """Each bound of `node`; with `is_object` none of its fields or items, which have their own table."""
    yield from _numbers(node)
    for low, high, unit in (
        ("minLength", "maxLength", "characters"),
        ("minItems", "maxItems", "items"),
        ("minProperties", "maxProperties", "entries"),
    ):
        if high in node:
            least = node.get(low, 0)
            yield f"{least} to {node[high]} {unit}" if least else f"at most {node[high]} {unit}"
    for key in node.get("x-kubernetes-list-map-keys", ()):
        yield f"no two with the same {key}"
    if is_object:
        return
    yield from (str(rule["message"]) for rule in node.get("x-kubernetes-validations", ()))
    for part in ("items", "additionalProperties"):
        inner = node.get(part)
        if isinstance(inner, dict):
            yield from (f"each {bound}" for bound in bounds_of(inner))


def _numbers(node: Node) -> Iterator[str]:
    low, high = node.get("minimum"), node.get("maximum")
    if low is None or high is None:
        return
    yield f"more than {low:.15g}, at most {high:.15g}" if node.get("exclusiveMinimum") else f"{low:.15g} to {high:.15g}"
