"""Reads and rewrites `managedFields`: which fields of an object are ours, and by which kind of write.

An object is created by POST, which makes our manager the owner of every field by an `Update`. An apply cannot give
those up: a field that is no longer rendered would stay for ever. So before the first apply of such an object `claim`
rewrites the entries, as `kubectl apply --server-side` does for objects of its client-side past.
"""

import json
from typing import Any

from agent_kube.objects import APPLY, UPDATE

Fields = dict[str, Any]


def claim(entries: list[Fields], manager: str) -> list[Fields]:
    """The managedFields `entries`, with all that `manager` owns in the object itself under one `Apply` entry."""
    ours = _entries_of(entries, manager)
    if all(entry.get("operation") != UPDATE for entry in ours):
        return entries
    merged = {**ours[-1], "operation": APPLY, "fieldsV1": _owned(ours)}
    return [*(entry for entry in entries if entry not in ours), merged]


def owns(entries: list[Fields], manager: str, manifest: Fields) -> bool:
    """Whether `manager` still owns every field that `manifest` sets.

    A field whose ownership cannot be told without the schema counts as not owned.
    """
    desired = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata")}
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in ("name", "namespace")}
    owned = _owned(_entries_of(entries, manager))
    return bool(owned) and _covers(owned, {**desired, "metadata": metadata})


def _entries_of(entries: list[Fields], manager: str) -> list[Fields]:
    return [entry for entry in entries if entry.get("manager") == manager and not entry.get("subresource")]


def _owned(entries: list[Fields]) -> Fields:
    owned: Fields = {}
    for entry in entries:
        owned = _union(owned, entry.get("fieldsV1") or {})
    return owned


def _union(one: Fields, other: Fields) -> Fields:
    both = {name: _union(one[name], other[name]) for name in one.keys() & other.keys()}
    return {**one, **other, **both}


def _covers(fields: Fields, value: Any) -> bool:  # noqa: ANN401  JSON
    if not fields or value in (None, {}, []):
        return True  # an atomic value is owned as a whole; nothing to own in an empty one
    if isinstance(value, dict):
        return all(
            inner in (None, {}, []) or (f"f:{name}" in fields and _covers(fields[f"f:{name}"], inner))
            for name, inner in value.items()
        )
    return isinstance(value, list) and all(_covers_item(fields, item) for item in value)


def _covers_item(fields: Fields, item: Any) -> bool:  # noqa: ANN401  JSON
    """An item of a set is named by its value, one of a map by its keys, some of which the server may have set."""
    if not isinstance(item, dict):
        return any(name.startswith("v:") and json.loads(name[2:]) == item for name in fields)
    for name, inner in fields.items():
        if name.startswith("k:") and all(item.get(key, value) == value for key, value in json.loads(name[2:]).items()):
            return _covers(inner, item)
    return False
