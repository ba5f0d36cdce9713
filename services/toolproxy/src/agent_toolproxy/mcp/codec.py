"""Header values that carry what a header cannot: `=?base64?...?=` around UTF-8."""

import base64
import binascii
import re
from typing import Final

_PLAIN: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_WRAPPED: Final = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)


def encode_header(value: str) -> str:
    """`value` as a header's value."""
    if _PLAIN.fullmatch(value) and not _WRAPPED.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode('utf-8', 'surrogatepass')).decode()}?="


def decode_header(value: str) -> str:
    """What a header's value says. Raises ValueError for wrong base64, wrong UTF-8 or characters that are not legal."""
    if (wrapped := _WRAPPED.fullmatch(value)) is None:
        if not _PLAIN.fullmatch(value):
            raise ValueError("characters that a header must not have")
        return value
    try:
        return base64.b64decode(wrapped[1], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("not base64 of UTF-8") from error
