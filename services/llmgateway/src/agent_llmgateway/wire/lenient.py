"""Reading what a provider made, in whatever form it wrote it.

Content comes as text or as a list of parts, arguments as text or as an object, a byte order mark before it, the two
halves of an emoji in two events. All of that is read. What still cannot be read, and is not known to be empty, is an
error that names the field: an answer is never shown as whole without something that was in it.
"""

import json
import re
from typing import Any, Final

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.surrogates import join_halves

Document = dict[str, Any]
MOST_DECODED: Final = 96 << 20
NODE_BYTES: Final = 100
"""That a value takes as an object, in the middle of lists of empty lists."""
ALWAYS_LIGHT: Final = MOST_DECODED // (NODE_BYTES + 4)
BOM: Final = b"\xef\xbb\xbf"
_TEXT_KINDS: Final = frozenset({"", "text", "output_text", "input_text", "summary_text", "reasoning_text"})
_SPECIAL: Final = re.compile(r'["\\{}\[\]]')
_decode: Final = msgspec.json.Decoder().decode


def has_unicode_escape(data: bytes) -> bool:
    """Whether a character may be written by its number. Two steps, since a single byte is found much faster."""
    return b"\\" in data and b"\\u" in data


def decoded_bytes(data: bytes) -> int:
    """Bytes that JSON can become as objects: each value is one, and a character of a text has up to four bytes."""
    wide = 1 if data.isascii() and not has_unicode_escape(data) else 4
    return len(data) * wide + NODE_BYTES * (data.count(b",") + data.count(b"[") + data.count(b"{"))


def check_weight(data: bytes) -> None:
    """Raises MalformedEventError for JSON that would become more than `MOST_DECODED`; never up to `ALWAYS_LIGHT`."""
    if decoded_bytes(data) > MOST_DECODED:
        raise MalformedEventError(f"it would take more than {MOST_DECODED >> 20} MiB as objects")


def read_json(data: bytes) -> Any:  # noqa: ANN401 - JSON
    """Any JSON. Halves of surrogate pairs, which msgspec refuses, are kept. Raises MalformedEventError."""
    if len(data) > ALWAYS_LIGHT:
        check_weight(data)
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(data.removeprefix(BOM))
    except (ValueError, RecursionError) as error:
        raise MalformedEventError(f"not valid JSON: {error}") from error


def encode(document: object) -> bytes:
    """JSON of what a provider made, in which halves of surrogate pairs may stand. Raises MalformedEventError."""
    try:
        return msgspec.json.encode(document)
    except (UnicodeEncodeError, OverflowError, RecursionError):
        pass
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_decode_raw)
    except (ValueError, RecursionError) as error:
        raise MalformedEventError(f"it cannot be written as JSON: {error}") from error
    return join_halves(text).encode()


def _decode_raw(value: object) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(value, msgspec.Raw):
        raise TypeError(f"{type(value).__name__} is not JSON")
    return read_json(bytes(value))


def read_document(data: bytes) -> Document:
    """A JSON object. Raises MalformedEventError."""
    document = read_json(data)
    if not isinstance(document, dict):
        raise MalformedEventError("not a JSON object")
    return document


def is_empty(value: object) -> bool:
    """Whether nothing is in a field: `null`, `false`, or text, a list or an object without anything."""
    return value is None or value is False or value in ("", [], {})


def says_error(value: object) -> bool:
    """Whether an `error` beside an answer says that something failed; some providers send one that is blank, or OK."""
    if isinstance(value, dict):
        told = [given for given in (value.get("code"), value.get("status")) if isinstance(given, str | int)]
        is_fine = any(str(given) in _FINE for given in told)
        return not is_fine and not all(map(_is_blank, value.values()))
    return not _is_blank(value)


def _is_blank(value: object) -> bool:
    return is_empty(value) or value == 0 or (isinstance(value, str) and value.strip().lower() in _NOTHING)


_FINE: Final = frozenset({"0", "200"})
_NOTHING: Final = frozenset({"", "null", "none"})


def index_at(value: object) -> int | None:
    """A place in a list, also as text or as a whole float; None for anything else."""
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) <= _LONGEST_INDEX else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_LONGEST_INDEX: Final = 9


def object_at(value: object, where: str) -> Document:
    """An object; an empty one for what is empty. Raises MalformedEventError."""
    if isinstance(value, dict):
        return value
    if is_empty(value):
        return {}
    raise MalformedEventError(f"`{where}` is not an object")


def list_at(value: object, where: str) -> list[Any]:
    """A list; an empty one for what is empty. Raises MalformedEventError."""
    if isinstance(value, list):
        return value
    if is_empty(value):
        return []
    raise MalformedEventError(f"`{where}` is not a list")


MOST_NESTED: Final = 16
"""Lists and objects around a text."""


def text_at(value: object, where: str, depth: int = 0) -> str:
    """Text, also of a list of parts with text. Raises MalformedEventError."""
    if depth > MOST_NESTED:
        raise MalformedEventError(f"`{where[:64]}` is nested more than {MOST_NESTED} times")
    if isinstance(value, str):
        return value
    if is_empty(value):
        return ""
    if isinstance(value, list):
        return "".join(text_at(part, f"{where}[{index}]", depth + 1) for index, part in enumerate(value))
    if isinstance(value, dict) and word_at(value.get("type")) in _TEXT_KINDS and "text" in value:
        return text_at(value["text"], f"{where}.text", depth + 1)
    if isinstance(value, dict) and isinstance(value.get("value"), str):  # as the Assistants API had it
        return text_at(value["value"], f"{where}.value", depth + 1)
    raise MalformedEventError(f"`{where}` is not text")


def word_at(value: object) -> str:
    """A short text such as an id or a name; empty for anything else."""
    return value if isinstance(value, str) else ""


def arguments_at(value: object, where: str) -> str:
    """Arguments of a call as JSON text; an object is written as such. Raises MalformedEventError."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text_at(value, where)


def said_in(choice: Document, field: str, where: str) -> Document:
    """What a choice of a chunk (`delta`) or of an answer (`message`) says, also where another form has it.

    Raises MalformedEventError.
    """
    if field not in choice:
        field = "message" if field == "delta" else "delta"
    said = object_at(choice.get(field), f"{where}.{field}")
    text = choice.get("text")
    if is_empty(text) or any(not is_empty(value) for name, value in said.items() if name != "role"):
        return said
    return {"content": text}


def keep_fields(kept: Document, given: Document, known: frozenset[str]) -> None:
    """Add those of `given` that are not `known`: lists go on where they ended, of others the last one counts."""
    for name, value in given.items():
        if name in known or not value:
            continue
        before = kept.get(name)
        if isinstance(before, list) and isinstance(value, list):
            before.extend(value)
        else:
            kept[name] = value


class JsonEnd:
    """Finds the end of a JSON object that comes in pieces, looking at each character once."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._skip = False
        self.ended = False

    def feed(self, text: str) -> str:
        """Take `text`; what stands behind the end of the object, without white space."""
        start = 1 if self._skip else 0
        self._skip = False
        if self.ended:
            return text.strip()
        at = start
        while match := _SPECIAL.search(text, at):
            at = match.end()
            character = match.group()
            if self._in_string:
                if character == "\\":
                    self._skip = at >= len(text)
                    at += 1
                elif character == '"':
                    self._in_string = False
            elif character == '"':
                self._in_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth <= 0:
                    self.ended = True
                    return text[at:].strip()
        return ""
