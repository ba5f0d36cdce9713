"""The schema of an answer, as the structured output of the API that it goes to takes it.

Sources, read in November 2026: Anthropic's "Structured outputs" page, JSON Schema limitations (closed objects; no
bounds of numbers, texts and lists), and OpenAI's, supported schemas (`strict`: closed objects, all properties
required).
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from agent_llmgateway.wire.lenient import read_json
from agent_llmgateway.wire.translate.base import Target, refuse

FIELD: Final = "response_format.json_schema.schema"
_BOUNDS: Final = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
        "maxItems", "uniqueItems", "minProperties", "maxProperties",
    }
)  # fmt: skip
_MOST_LEAST_ITEMS: Final = 1
"""The largest `minItems` that Anthropic takes."""
_NAMED: Final = ("properties", "$defs", "definitions", "patternProperties")
_INNER: Final = ("items", "additionalProperties", "not", "if", "then", "else", "contains")
_LISTED: Final = ("anyOf", "allOf", "oneOf", "prefixItems")


def close_schema(schema: msgspec.Raw, target: Target) -> msgspec.Raw:
    """`schema` for the messages API, with its own bytes where nothing has to change.

    Raises NotCarriedError for an object of any properties.
    """
    document = read_json(bytes(schema))
    changed = [_close(each, target) for each in _schemas_in(document)]
    return msgspec.Raw(msgspec.json.encode(document)) if any(changed) else schema


def is_strict(schema: msgspec.Raw) -> bool:
    """Whether OpenAI takes `schema` as `strict`."""
    return all(
        each.get("additionalProperties") is False
        and set(each.get("properties") or {}) == set(each.get("required") or ())
        for each in _schemas_in(read_json(bytes(schema)))
        if _is_object(each)
    )


def _schemas_in(schema: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    """`schema` and those in it; not what only looks like one, such as a property that is called `items`."""
    waiting = [schema]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, dict):
            continue
        yield each
        for name in _NAMED:
            named = each.get(name)
            waiting += named.values() if isinstance(named, dict) else ()
        for name in _LISTED:
            listed = each.get(name)
            waiting += listed if isinstance(listed, list) else ()
        waiting += [each.get(name) for name in _INNER]


def _close(schema: dict[str, Any], target: Target) -> bool:
    """Whether something had to change."""
    bounds = [name for name in schema if name in _BOUNDS]
    least = schema.get("minItems")
    if isinstance(least, int | float) and least > _MOST_LEAST_ITEMS:
        bounds.append("minItems")
    for name in bounds:
        target.drop(f"{FIELD}.{name}")
        del schema[name]
    if not _is_object(schema) or schema.get("additionalProperties") is False:
        return bool(bounds)
    given = schema.get("additionalProperties")
    if given not in (None, True, {}) or not (schema.get("properties") or given is None):
        refuse(f"`{FIELD}` has an object of any properties, which cannot be carried to the messages API", FIELD)
    if given is not None:
        target.drop(f"{FIELD}.additionalProperties")
    schema["additionalProperties"] = False
    return True


def _is_object(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema
