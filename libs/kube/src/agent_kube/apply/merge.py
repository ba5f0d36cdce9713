"""The smallest merge patch between two JSON documents (RFC 7386)."""

from typing import Any

Document = dict[str, Any]


def merge_patch(old: Document, new: Document) -> Document:
    """The patch that makes `new` of `old`: {} when they are equal. Neither may hold None, which a patch deletes."""
    patch: Document = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = merge_patch(before, value)
            if inner:
                patch[key] = inner
        elif key not in old or before != value:
            patch[key] = value
    return patch
