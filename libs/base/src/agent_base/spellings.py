"""How a secret may be spelt in a text that repeats it: quoted, escaped, encoded."""

import base64
import html
import json
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

_ESCAPE: Final = re.compile(
    r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))|%([0-9a-fA-F]{2})|&#(?:x([0-9a-fA-F]{1,5})|([0-9]{1,6}));"
)
_ESCAPE_MARKS: Final = ("\\u", "\\x", "%", "&#")
_DEEPEST_ESCAPE: Final = 3
_SHORTEST_ENCODED: Final = 8
"""Bytes of a value that is looked for in hexadecimal, and within longer base64: less would be found by chance."""


def unescaped(text: str) -> Iterator[str]:
    """`text` without its escapes, then without those that were escaped themselves, as far as there are any."""
    for _ in range(_DEEPEST_ESCAPE):
        if not any(mark in text for mark in _ESCAPE_MARKS):
            return
        text = _ESCAPE.sub(_character, text)
        yield text


def spellings(text: str) -> Iterator[str]:
    """The ways in which one value turns up: as read, without its line break, quoted, escaped, encoded."""
    for form in {text, text.strip()}:
        raw = form.encode("utf-8", "surrogatepass")
        yield form
        yield quote(raw, safe="")
        yield quote_plus(raw)
        quoted = json.dumps(form)[1:-1]
        yield quoted
        yield quoted.replace("/", "\\/")  # as PHP writes it
        yield json.dumps(quoted)[1:-1]  # JSON in JSON
        yield html.escape(form)
        yield json.dumps(form, ensure_ascii=False)[1:-1]
        yield repr(form)[1:-1]
        yield base64.b64encode(raw).decode().rstrip("=")
        yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
        if len(raw) >= _SHORTEST_ENCODED:
            yield from _encoded(raw)


def _character(escape: "re.Match[str]") -> str:
    *hexadecimal, decimal = escape.groups()
    code = int(next(filter(None, hexadecimal)), 16) if decimal is None else int(decimal)
    return escape.group() if 0xD800 <= code <= 0xDFFF else chr(code)  # half of a character is none


def _encoded(raw: bytes) -> Iterator[str]:
    """`raw` in hexadecimal, and what base64 makes of it wherever it stands in what is encoded."""
    yield raw.hex()
    yield raw.hex().upper()
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + raw).decode()[first:last]
