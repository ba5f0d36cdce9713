"""Objects as sets of fields, under paths as managedFields name them."""

import json
from collections.abc import Iterator
from typing import Any

Path = tuple[str, ...]


Json = Any


ITEM_KEYS = {
    "ownerReferences": ("uid",),
    "containers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "ports": ("containerPort", "protocol"),
    "conditions": ("type",),
}


ITEM_DEFAULTS = {"protocol": "TCP"}


def flatten(value: Json, path: Path = (), name: str = "") -> dict[Path, Json]:
    if isinstance(value, dict) and value:
        return {p: v for key, inner in value.items() for p, v in flatten(inner, (*path, f"f:{key}"), key).items()}
    keys = ITEM_KEYS.get(name)
    if isinstance(value, list) and value and keys and all(isinstance(item, dict) for item in value):
        flat: dict[Path, Json] = {}
        for item in value:
            identity = {key: item.get(key, ITEM_DEFAULTS.get(key)) for key in keys}
            here = (*path, f"k:{json.dumps(identity, separators=(',', ':'))}")
            flat[*here, "."] = None
            for key, inner in item.items():
                flat |= flatten(inner, (*here, f"f:{key}"), key)
        return flat
    return {path: value}


def unflatten(flat: dict[Path, Json]) -> Json:
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = ("leaf", value)
    return _built(tree)


def _built(node: Any) -> Json:
    if isinstance(node, tuple):
        return node[1]
    if any(part.startswith("k:") for part in node):
        return [_built({k: v for k, v in item.items() if k != "."}) for item in node.values()]
    return {part[2:]: _built(inner) for part, inner in node.items()}


def leaves(tree: Json, path: Path = ()) -> Iterator[Path]:
    for part, inner in tree.items():
        yield from leaves(inner, (*path, part)) if inner else [(*path, part)]


def overlap(one: Path, other: Path) -> bool:
    """One is inside the other: a value became a map, or a map a value."""
    shorter, longer = sorted((one, other), key=len)
    return one != other and longer[: len(shorter)] == shorter


def merged(old: Json, patch: Json) -> Json:
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
