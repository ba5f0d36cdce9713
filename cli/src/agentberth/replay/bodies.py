"""Bytes as a cassette holds them: JSON where JSON gives the bytes back, so that a person can edit them."""

import base64
import binascii
import json
from typing import Any, Final

from agent_api.cassette import Body, Chunk

_COMPACT: Final = (",", ":")
_SPACED: Final = (", ", ": ")


def pack(raw: bytes) -> Body:
    """`raw` in the most readable form that gives it back."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return Body(base64=base64.b64encode(raw).decode())
    value = parsed(raw)
    if isinstance(value, dict | list):
        for spaced in (False, True):
            if dump(value, spaced=spaced) == text:
                return Body(json_value=value, spaced=True) if spaced else Body(json_value=value)
    return Body(text=text)


def unpack(body: Body | None) -> bytes:
    """The bytes of `body`. Raises ValueError for what is no base64."""
    if body is None:
        return b""
    if body.text is not None:
        return body.text.encode()
    if body.base64 is not None:
        return _decoded(body.base64)
    return dump(body.json_value, spaced=body.spaced).encode()


def pack_chunk(at_ms: int, raw: bytes) -> Chunk:
    """A part of a stream."""
    try:
        return Chunk(at_ms=at_ms, text=raw.decode())
    except UnicodeDecodeError:
        return Chunk(at_ms=at_ms, base64=base64.b64encode(raw).decode())


def unpack_chunk(chunk: Chunk) -> bytes:
    """The bytes of `chunk`. Raises ValueError for what is no base64."""
    return _decoded(chunk.base64) if chunk.base64 else chunk.text.encode()


def parsed(raw: bytes) -> Any:  # noqa: ANN401 - any JSON
    """The JSON of `raw`; None when it is none, or nested too deeply to be looked at."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def dump(value: Any, *, spaced: bool = False) -> str:  # noqa: ANN401 - any JSON
    """`value` as JSON on one line; compact, or with a space after commas and colons when `spaced`."""
    return json.dumps(value, ensure_ascii=False, separators=_SPACED if spaced else _COMPACT)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"base64 that cannot be read: {error}") from error
