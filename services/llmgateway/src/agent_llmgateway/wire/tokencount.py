"""About how many tokens a request has, for clients that ask when no provider can be asked.

Clients count to know when a conversation gets too long; a number that is near enough is better than an error. It is
by the rule of thumb that a token is four characters. Pictures and documents are counted as such, not as text.
"""

from collections.abc import Mapping
from typing import Any, Final

from agent_llmgateway.wire.lenient import read_json

COUNTS: Final[Mapping[str, Mapping[str, str]]] = {
    "count_tokens": {},
    "input_tokens": {"object": "response.input_tokens"},
}
"""Dialects that only count, and what their answer has beside the count."""
CHARACTERS_PER_TOKEN: Final = 4
PICTURE_TOKENS: Final = 1600
"""Anthropic's number for a picture of about a megapixel."""
_MEDIA: Final = frozenset({"image", "document", "image_url", "input_image", "input_file", "file"})


def estimate_tokens(body: bytes) -> int:
    """Tokens of the request `body`, at least 1. Raises MalformedEventError when it is not JSON."""
    characters, pictures = _measure(read_json(body))
    return max(1, -(-characters // CHARACTERS_PER_TOKEN) + pictures * PICTURE_TOKENS)


def _is_picture(block: dict[str, Any]) -> bool:
    """Whether it is media. `type` may be anything: a schema has properties of that name."""
    source = block.get("source")
    if isinstance(source, dict) and source.get("type") in ("text", "content"):
        return False
    kind = block.get("type")
    return isinstance(kind, str) and kind in _MEDIA


def _measure(document: Any) -> tuple[int, int]:  # noqa: ANN401 - JSON
    """Characters of text, and pictures. Without recursion: a body may be nested deeply."""
    characters = pictures = 0
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            if _is_picture(value):
                pictures += 1
                continue
            characters += sum(map(len, value))
            waiting += value.values()
        elif value is not None:
            characters += CHARACTERS_PER_TOKEN
    return characters, pictures
