"""Compressed bodies that nobody asked for."""

import gzip
import zlib
from functools import partial

import pytest

from agent_llmgateway.errors import AttemptError
from agent_llmgateway.upstream.inflate import PIECE_BYTES, Inflater

TEXT = b"data: " + b"word " * 200_000


def inflate(encoding: str, body: bytes, size: int) -> list[bytes]:
    inflater = Inflater(encoding)
    pieces = []
    for at in range(0, len(body), size):
        inflater.feed(body[at : at + size])
        while piece := inflater.read():
            pieces.append(piece)
    return pieces


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
@pytest.mark.parametrize(
    "encoding,pack",
    [
        ("gzip", gzip.compress),
        ("gzip, identity", gzip.compress),
        ("Deflate", zlib.compress),
        ("deflate", partial(zlib.compress, wbits=-zlib.MAX_WBITS)),
        ("deflate", gzip.compress),
        ("identity", bytes),
        ("none", bytes),
        ("UTF-8", bytes),
    ],
)
def test_a_body_is_what_it_was_in_pieces_of_bounded_size(encoding: str, pack: object, size: int) -> None:
    assert callable(pack)
    text = TEXT[:1000] if pack is bytes else TEXT
    body = pack(text)
    pieces = inflate(encoding, body, size)
    assert b"".join(pieces) == text
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_what_cannot_be_read_says_so() -> None:
    with pytest.raises(AttemptError, match="content-encoding"):
        inflate("br", b"x", 10)
    with pytest.raises(AttemptError, match="`gzip,br`"):
        inflate("gzip, br", b"x", 10)
    with pytest.raises(AttemptError, match="compressed body"):
        inflate("gzip", b"not gzip at all", 100)
