"""A compressed body as it was before, piece by piece and never more than a piece at a time.

The gateway asks for `identity`; some servers, and proxies before them, compress all the same.
"""

import zlib
from typing import Final

from agent_llmgateway.errors import AttemptError
from agent_llmgateway.providererrors.classify import broken_failure

PIECE_BYTES: Final = 1 << 18
"""Most that one piece of a compressed body becomes at a time, however well it is compressed."""
_NONE: Final = frozenset({"", "identity", "none", "utf-8", "utf8"})
"""Names that say of no compression; a charset is a server's mistake."""
_KNOWN: Final = ("", "gzip", "x-gzip", "deflate")
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_HEAD_BYTES: Final = 2
_GZIP_HEAD: Final = b"\x1f\x8b"


class Inflater:
    """Decompresses gzip and deflate. Raises AttemptError for another encoding, and for what is not what it says."""

    def __init__(self, encoding: str) -> None:
        names = [name for name in encoding.replace(" ", "").lower().split(",") if name not in _NONE]
        self._encoding = ",".join(names)
        self._object = zlib.decompressobj(_GZIP_OR_ZLIB) if names else None
        self._has_begun = not names
        self._raw = b""

    def feed(self, raw: bytes) -> None:
        """More of the body."""
        if self._encoding not in _KNOWN:
            raise AttemptError(broken_failure(f"`content-encoding` is `{self._encoding[:32]}`, which cannot be read"))
        self._raw += raw

    def read(self) -> bytes:
        """The next piece; empty when more has to be fed."""
        if not self._has_begun:
            self._begin()
        raw, self._raw = (self._raw, b"") if self._has_begun else (b"", self._raw)
        if self._object is None or not raw:
            return raw
        try:
            piece = self._object.decompress(raw, PIECE_BYTES)
        except zlib.error as error:
            raise AttemptError(broken_failure("the compressed body cannot be read")) from error
        self._raw = self._object.unconsumed_tail
        return piece

    def _begin(self) -> None:
        """See whether `deflate` is without its head, as some servers send it."""
        head = self._raw[:_HEAD_BYTES]
        if len(head) < _HEAD_BYTES:
            return
        self._has_begun = True
        has_head = head == _GZIP_HEAD or (head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head) % 31 == 0)
        if self._encoding == "deflate" and not has_head:
            self._object = zlib.decompressobj(-zlib.MAX_WBITS)
