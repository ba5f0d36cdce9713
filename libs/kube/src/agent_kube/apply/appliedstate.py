"""Knows what was applied without keeping it.

Every applied object carries an annotation, the mark, with the digest of the manifest it was applied from. The cache
therefore tells whether a manifest is the one that was applied, also after a restart. Whether the applied fields are
still ours it tells too: `ObjectMeta.owned_fields` is a digest of the server's own list of them, and the answer to a
write says what that digest has to be. Manifests of one shape own the same fields, so after a restart a few looks at
the list itself, one for each shape, teach the digests of all objects.
"""

from hashlib import blake2b
from typing import Any

from agent_kube.client.client import Manifest
from agent_kube.objects import ObjectMeta

# Fields that may be keys of a list's items, whose values are therefore part of the names of owned fields.
ITEM_KEYS = frozenset(
    {"name", "key", "type", "containerPort", "port", "protocol", "ip", "mountPath", "devicePath", "topologyKey"}
    | {"whenUnsatisfiable", "resourceName", "hostnames"}
)
KNOWN_SHAPES = 8192  # digests whose shape is remembered

Shape = tuple[bytes, bool]  # of a manifest, and whether the object is as it was created


class AppliedState:
    """What the server should say about applied objects."""

    def __init__(self) -> None:
        self._by_shape: dict[Shape, int] = {}
        self._by_uid: dict[str, int] = {}
        self._shapes: dict[str, bytes] = {}

    def holds(self, live: ObjectMeta, digest: str, manifest: Manifest) -> bool:
        """Whether `live` was applied from `manifest` (of this digest) and nobody has taken a field since."""
        if live.mark != digest:
            return False
        expected = self._by_uid.get(live.uid)
        if expected is None:
            expected = self._by_shape.get((self._shape(digest, manifest), live.as_created))
        return expected == live.owned_fields

    def misses(self, live: ObjectMeta, digest: str, manifest: Manifest) -> bool:
        """Whether `live` may be as it should be, if only the digest of its fields were known."""
        if live.mark != digest or live.uid in self._by_uid:
            return False
        return (self._shape(digest, manifest), live.as_created) not in self._by_shape

    def learn(self, answer: ObjectMeta, manifest: Manifest) -> None:
        """The server has answered a write of `manifest`."""
        known = self._by_shape.setdefault((shape_of(manifest), answer.as_created), answer.owned_fields)
        if known == answer.owned_fields:
            self._by_uid.pop(answer.uid, None)
        else:  # another applier has fields on this object, or its shape misses a difference
            self._by_uid[answer.uid] = answer.owned_fields

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._by_uid.pop(uid, None)

    def _shape(self, digest: str, manifest: Manifest) -> bytes:
        """`shape_of`, worked out once while an object is looked at again and again: it was a fifth of a busy pass."""
        known = self._shapes.get(digest)
        if known is None:
            if len(self._shapes) >= KNOWN_SHAPES:
                self._shapes.clear()
            known = self._shapes[digest] = shape_of(manifest)
        return known


def shape_of(manifest: Manifest) -> bytes:
    """Digest of the fields that applying `manifest` owns: its structure, with the values that name list items."""
    parts: list[str] = [manifest["apiVersion"], manifest["kind"]]
    _describe({key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}, parts)
    return blake2b("\x00".join(parts).encode(), digest_size=8).digest()


def _describe(value: dict[str, Any] | list[Any], parts: list[str], *, item: bool = False) -> None:
    if isinstance(value, dict):
        parts.append("{")
        for key in sorted(value):
            inner = value[key]
            if inner is None:
                continue
            parts.append(key)
            if isinstance(inner, (dict, list)):
                _describe(inner, parts)
            elif item and key in ITEM_KEYS:
                parts.append(str(inner))
        parts.append("}")
    else:
        parts.append("[")
        for element in value:
            if isinstance(element, (dict, list)):
                _describe(element, parts, item=True)
            else:
                parts.append(str(element))
        parts.append("]")
