"""How much of an event or an answer is what the model made, in bytes. Pictures and sound are not text.

Sources, read in November 2026: OpenAI's "Image generation" guide (6,240 tokens for the largest picture) and "Audio"
guide (20 tokens for a second of speech).
"""

from typing import Any, Final

NOT_TEXT: Final = frozenset({"type", "id", "index", "role", "item_id", "call_id", "signature", "status", "object"})
"""Fields that no model makes."""
MADE_PICTURE_TOKENS: Final = 6240
SOUND_CHARACTERS: Final = 1000
"""Of base64, of which a token of speech takes more."""
_LEAST_CHARACTERS: Final = 64
_PICTURES: Final = frozenset({"result", "b64_json", "partial_image_b64"})
"""Fields of the APIs with a picture that was made. A model's text is never in one."""
_SOUND: Final = "data"


def size_of_text(text: str) -> int:
    """Bytes of a text; most is ASCII, where counting is free."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def size_of(value: Any) -> int:  # noqa: ANN401 - JSON
    """Bytes of all texts in `value`, without names of fields, and a byte for each token of pictures and sound.

    Without recursion: an answer may be nested deeply.
    """
    total = 0
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            total += size_of_text(part)
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            for name, each in part.items():
                if name in NOT_TEXT:
                    continue
                media = media_tokens(name, each)
                if media:
                    total += media
                else:
                    waiting.append(each)
    return total


def media_tokens(name: str, value: object) -> int:
    """Of a picture or sound in a field called `name`; 0 when it is something else."""
    if not isinstance(value, str) or len(value) < _LEAST_CHARACTERS:
        return 0
    if name in _PICTURES or (name == "url" and value.startswith("data:")):
        return MADE_PICTURE_TOKENS
    return sound_size(value) if name == _SOUND else 0


def sound_size(data: str) -> int:
    """Tokens of speech in base64."""
    return 1 + len(data) // SOUND_CHARACTERS
