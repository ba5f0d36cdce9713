"""What a server says in `WWW-Authenticate` (RFC 9110 §11.6.1), as far as a Bearer challenge goes (RFC 6750 §3)."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

_LONGEST_CHARS: Final = 4096
_MOST_PARAMETERS: Final = 32
_SCHEME: Final = re.compile(r"(?:^|,)\s*Bearer(?=\s|,|$)", re.IGNORECASE)
_PARAMETER: Final = re.compile(
    r'\s*,?\s*(?P<name>[A-Za-z0-9_*!#$%&\'^`|~+.-]{1,64})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<token>[^\s,"]++))'
)


def bearer_challenge(headers: Iterable[str]) -> Mapping[str, str]:
    """The parameters of the first Bearer challenge, names in lower case; empty when there is none."""
    for header in headers:
        text = header[:_LONGEST_CHARS]
        if found := _SCHEME.search(text):
            return _parameters(text, found.end())
    return {}


def _parameters(text: str, at: int) -> Mapping[str, str]:
    parameters: dict[str, str] = {}
    for _ in range(_MOST_PARAMETERS):
        found = _PARAMETER.match(text, at)
        if found is None:
            break
        value = found["token"] if found["quoted"] is None else re.sub(r"\\(.)", r"\1", found["quoted"])
        parameters.setdefault(found["name"].lower(), value)
        at = found.end()
    return parameters
