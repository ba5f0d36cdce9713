"""A compressed body as it was before, piece by piece and never more than a piece at a time.

The gateway asks for `identity`; some servers, and proxies before them, compress all the same.
"""

import zlib
from typing import Final

from agent_llmgateway.errors import AttemptError
from agent_llmgateway.providererrors.classify import broken_failure

PIECE_BYTES: Final = 1 << 18
"""Most that one piece of a compressed body becomes at a time, however well it is compressed."""
_NONE: Final = ("", "identity")
_KNOWN: Final = (*_NONE, "gzip", "x-gzip", "deflate")
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS


class Inflater:
    """Decompresses gzip and deflate. Raises AttemptError for another encoding, and for what is not what it says."""

    def __init__(self, encoding: str) -> None:
        self._encoding = name = encoding.strip().lower()
        self._object = None if name in _NONE else zlib.decompressobj(_GZIP_OR_ZLIB)
        self._raw = b""

    def feed(self, raw: bytes) -> None:
        """More of the body."""
        if self._encoding not in _KNOWN:
            raise AttemptError(broken_failure(f"`content-encoding` is `{self._encoding[:32]}`, which cannot be read"))
        self._raw += raw

    def read(self) -> bytes:
        """The next piece; empty when more has to be fed."""
        raw, self._raw = self._raw, b""
        if self._object is None or not raw:
            return raw
        try:
            piece = self._object.decompress(raw, PIECE_BYTES)
        except zlib.error as error:
            raise AttemptError(broken_failure("the compressed body cannot be read")) from error
        self._raw = self._object.unconsumed_tail
        return piece
