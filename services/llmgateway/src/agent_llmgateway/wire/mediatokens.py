"""How many tokens pictures, documents and sound are: by their size on the page, never by their bytes.

Sources, read in November 2026: OpenAI's "Images and vision" guide (85 tokens and 170 for each tile of 512 pixels, after
a fit into 2,048 pixels and a short side of 768), Anthropic's "Vision" page (width x height / 750, a long edge of 1,568
pixels) and "PDF support" page (1,500 to 3,000 tokens of text a page, and the page as a picture), OpenAI's "Audio" guide
(10 tokens a second). What cannot be measured, such as a picture behind an address, counts as the largest there is.
"""

import base64
import binascii
import math
import re
import struct
from typing import Any, Final, Literal

Family = Literal["openai", "anthropic"]
Document = dict[str, Any]
MOST_PICTURE_TOKENS: Final = 1600
MOST_TILED_TOKENS: Final = 1445
"""85 and eight tiles: no picture of OpenAI's has more."""
LOW_DETAIL_TOKENS: Final = 85
PAGE_TOKENS: Final = 4600
BYTES_PER_PAGE: Final = 20_000
"""Of a document whose pages cannot be counted; few have less."""
SOUND_TOKENS_PER_S: Final = 10
SOUND_BYTES_PER_S: Final = 2_000
"""Of compressed sound, at the lowest rate that speech has."""
MOST_SOUND_BYTES_PER_S: Final = 576_000
"""Two channels of 24 bits at 96 kHz."""
HEAD_CHARACTERS: Final = 262_144
"""Of base64, in which a picture must say how large it is."""
_PAGE: Final = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")


def picture_tokens(data: str, family: Family, *, low_detail: bool = False) -> int:
    """Tokens of a picture in base64, or of the largest one when `data` does not say how large it is."""
    if family == "openai" and low_detail:
        return LOW_DETAIL_TOKENS
    size = picture_size(_decode(data[:HEAD_CHARACTERS]))
    if size is None:
        return MOST_PICTURE_TOKENS
    return _tiled_tokens(*size) if family == "openai" else _area_tokens(*size)


def document_tokens(data: str) -> int:
    """Tokens of a PDF in base64."""
    raw = _decode(data)
    return PAGE_TOKENS * (len(_PAGE.findall(raw)) or 1 + len(raw) // BYTES_PER_PAGE)


def sound_tokens(data: str) -> tuple[int, int]:
    """Tokens of sound in base64, by the rate that it says it has; and how many more it has at the lowest one."""
    head = _decode(data[:64])
    rate = struct.unpack_from("<I", head, 28)[0] if head[:4] == b"RIFF" and len(head) >= 32 else 0
    told = min(rate or SOUND_BYTES_PER_S, MOST_SOUND_BYTES_PER_S)
    size, least = len(data) * 3 / 4, min(told, SOUND_BYTES_PER_S)
    tokens, most = (1 + math.ceil(size / each * SOUND_TOKENS_PER_S) for each in (told, least))
    return tokens, most - tokens


def picture_size(raw: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, WebP or JPEG by its first bytes; None for anything else."""
    try:
        size = _read_size(raw)
    except (struct.error, IndexError):
        return None
    return size if size and min(size) > 0 else None


def _read_size(raw: bytes) -> tuple[int, int] | None:
    if raw.startswith(b"\x89PNG\r\n\x1a\n"):
        return struct.unpack_from(">II", raw, 16)
    if raw.startswith((b"GIF87a", b"GIF89a")):
        return struct.unpack_from("<HH", raw, 6)
    if raw.startswith(b"\xff\xd8"):
        return _jpeg_size(raw)
    return _webp_size(raw) if raw.startswith(b"RIFF") and raw[8:12] == b"WEBP" else None


def _jpeg_size(raw: bytes) -> tuple[int, int] | None:
    at = 2
    while at < len(raw):
        if raw[at] != 0xFF:
            return None
        kind = raw[at + 1]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", raw, at + 5)
            return width, height
        at += 2 if kind == 0xFF or 0xD0 <= kind <= 0xD8 else 2 + max(2, struct.unpack_from(">H", raw, at + 2)[0])
    return None


def _webp_size(raw: bytes) -> tuple[int, int] | None:
    kind = raw[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(raw[24:27], "little"), 1 + int.from_bytes(raw[27:30], "little")
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", raw, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", raw, 26)
    return width & 0x3FFF, height & 0x3FFF


def _area_tokens(width: int, height: int) -> int:
    scale = min(1.0, 1568 / max(width, height))
    return min(MOST_PICTURE_TOKENS, math.ceil(width * scale * height * scale / 750))


def _tiled_tokens(width: int, height: int) -> int:
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    tiles = math.ceil(width * scale / 512) * math.ceil(height * scale / 512)
    return min(MOST_TILED_TOKENS, 85 + 170 * tiles)


def _decode(data: str) -> bytes:
    """As much as is base64."""
    try:
        return base64.b64decode(data[: len(data) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""
