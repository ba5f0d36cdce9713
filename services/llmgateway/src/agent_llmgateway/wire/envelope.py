"""The few fields of a request that routing needs, read without touching the rest.

A prompt can have hundreds of kilobytes and its bytes are what a provider's prompt cache is keyed by: so it is
neither parsed into objects nor written again. Only the model's name is exchanged, in place.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from agent_llmgateway.errors import BadRequestError, MalformedEventError
from agent_llmgateway.surrogates import join_halves
from agent_llmgateway.wire.lenient import ALWAYS_LIGHT, check_weight, has_unicode_escape, read_json


class StreamOptions(msgspec.Struct):
    """`stream_options` of chat completions."""

    include_usage: bool | None = None


class Envelope(msgspec.Struct):
    """What is read of every request; every other field is skipped, checked for syntax only."""

    model: str | None = None
    stream: bool | None = None
    max_tokens: int | float | None = None
    max_completion_tokens: int | float | None = None
    max_output_tokens: int | float | None = None
    n: int | None = None
    stream_options: StreamOptions | None = None
    service_tier: Any = None
    speed: Any = None
    thinking: Any = None
    inference_geo: Any = None

    def output_limit_tokens(self, dialect: str) -> int | None:
        """Most tokens of one answer, when the request says so in a field that its dialect has."""
        found = 0
        for name in _LIMITS.get(dialect, ()):
            limit = getattr(self, name)
            if limit is not None and found < limit <= LARGEST_LIMIT:
                found = int(limit)
        return found or None

    @property
    def is_premium(self) -> bool:
        """Whether a faster service is asked for, which costs more."""
        return self.service_tier in _PREMIUM or self.speed in _PREMIUM

    @property
    def is_regional(self) -> bool:
        """Whether the answer has to be made in one part of the world, which costs more."""
        return self.inference_geo not in (None, "", "global")

    @property
    def asks_for_usage(self) -> bool:
        """Whether a stream of chat completions is to tell what it took."""
        return self.stream_options is not None and self.stream_options.include_usage is True


_decode_envelope: Final = msgspec.json.Decoder(Envelope).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
LONGEST_MODEL: Final = 256
_PREMIUM: Final = ("priority", "fast", "ultrafast")
LARGEST_LIMIT: Final = 1_000_000_000
_LIMITS: Final = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
}
_HEADS: Final = {name: f'"{name}":'.encode() for name in Envelope.__struct_fields__}
_SHORTEST_FIELD: Final = len(b'"n":1,')
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_SPACE: Final = b" \t\r\n"


def read_envelope(body: bytes) -> tuple[Envelope, bytes]:
    """The envelope, and the body to go on with.

    That is `body` itself, unless it holds halves of characters: legal in JSON, impossible in text. They are joined
    or replaced. Raises BadRequestError when `body` is not a JSON object, or a field that is read has another type.
    """
    try:
        if len(body) > ALWAYS_LIGHT:
            check_weight(body)
        if not body.isascii():
            body.decode()  # fields that nobody reads are decoded by nobody else
    except MalformedEventError as error:
        raise BadRequestError(f"The request is not valid: {error}", code="too_complex") from error
    except UnicodeDecodeError as error:
        raise BadRequestError("The request is not valid: it is not UTF-8", code="invalid_json") from error
    try:
        known, rest = _read_fields(body, _decode_fields(body))
        envelope = _decode_envelope(known)
    except msgspec.ValidationError as error:
        raise BadRequestError(f"The request is not valid: {error}", code="invalid_json") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return read_envelope(_mend(body, error))
    if not envelope.model:
        raise BadRequestError(
            "`model` is missing: name an alias, a model, or `auto`", code="missing_model", param="model"
        )
    if len(envelope.model) > LONGEST_MODEL:
        raise BadRequestError(f"`model` is longer than {LONGEST_MODEL} characters", code="invalid_model", param="model")
    if rest >= _SHORTEST_FIELD or has_unicode_escape(body):  # else each field is there once, as nearly always
        _require_single_fields(body)
    return envelope, body


def _mend(body: bytes, error: Exception) -> bytes:
    """`body` without halves of characters. Raises BadRequestError when it is not JSON for another reason."""
    refusal = BadRequestError(f"The request is not valid: {error}", code="invalid_json")
    if not _HALF.search(body):
        raise refusal from error
    try:
        mended = join_halves(json.dumps(read_json(body), ensure_ascii=False)).encode()
    except (MalformedEventError, RecursionError):
        raise refusal from error
    if _HALF.search(mended):
        raise refusal from error
    return mended


def _read_fields(body: bytes, fields: dict[str, msgspec.Raw]) -> tuple[bytes, int]:
    """An object of those that are read, and how many bytes of `body` are none of `fields`.

    Those are white space, or fields that stand there before. Raises BadRequestError for a name in another case: some
    parsers read that too.
    """
    known: list[bytes] = []
    rest = len(body) - 1
    for name, value in fields.items():
        rest -= len(name) + len(value) + 4
        head = _HEADS.get(name)
        if head is not None:
            known.append(head + value)
        elif (meant := name.casefold()) in _HEADS:
            raise BadRequestError(f"The field `{name}` is called `{meant}`", code="invalid_json", param=name)
    return b"{" + b",".join(known) + b"}", rest


def _require_single_fields(body: bytes) -> None:
    """Raises BadRequestError for a second one of a field: another parser would read the other one."""
    seen: set[str] = set()
    for name, _, _ in _fields_of(body):
        if name in seen:
            raise _twice(name)
        seen.add(name)


def replace_model(body: bytes, model: str) -> bytes:
    """`body` with another value of its top-level `model`, every other byte as it was.

    Walks over the top-level fields by the lengths that the decoder found, so that a `model` inside a message or
    a tool's schema is never taken for it.
    """
    for name, begins, ends in _fields_of(body):
        if name == "model":
            return body[:begins] + msgspec.json.encode(model) + body[ends:]
    raise BadRequestError("`model` is missing", code="missing_model", param="model")


def limit_of(body: bytes, dialect: str) -> tuple[str, int | None]:
    """What a request of ours calls the limit of its answer, and that limit in tokens; nothing where it has none."""
    envelope = _decode_envelope(body)
    given = {name: getattr(envelope, name) for name in _LIMITS.get(dialect, ())}
    return next(((name, int(limit)) for name, limit in given.items() if limit is not None), ("", None))


def ask_for_usage(body: bytes) -> bytes:
    """A request for a stream of chat completions, whose last event is to say what it took; else as it was."""
    if b"stream_options" in body or has_unicode_escape(body):
        for name, begins, ends in _fields_of(body):
            if name == "stream_options":
                given = read_json(body[begins:ends])
                options = {**given, "include_usage": True} if isinstance(given, dict) else {"include_usage": True}
                return body[:begins] + msgspec.json.encode(options) + body[ends:]
    return body[: body.rindex(b"}")] + b',"stream_options":{"include_usage":true}}'


def _fields_of(body: bytes) -> Iterator[tuple[str, int, int]]:
    """Name, begin and end of the value of each top-level field.

    Raises BadRequestError for one that is there twice, and for text that is not UTF-8: what nobody decoded is not known
    to be until here.
    """
    try:
        fields = _decode_fields(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"The request is not valid: {error}", code="invalid_json") from error
    at = _skip(body, body.index(b"{") + 1)
    while body[at : at + 1] == b'"':
        name_end = _end_of_string(body, at)
        name = msgspec.json.decode(body[at:name_end])
        at = _skip(body, _skip(body, name_end) + 1)
        raw = bytes(fields[name])
        if not body.startswith(raw, at):
            raise _twice(name)
        end = _skip(body, at + len(raw))
        if body[end] not in b",}":  # the value of the last one is how this one begins
            raise _twice(name)
        yield name, at, at + len(raw)
        at = end
        if body[at : at + 1] != b",":
            return
        at = _skip(body, at + 1)


def _twice(name: str) -> BadRequestError:
    return BadRequestError(f"The request has the field `{name[:64]}` twice", code="invalid_json", param=name[:64])


def _skip(body: bytes, at: int) -> int:
    while body[at] in _SPACE:
        at += 1
    return at


def _end_of_string(body: bytes, at: int) -> int:
    """Behind the closing quote of the string that begins at `at`."""
    end = body.index(b'"', at + 1)
    while (end - len(body[at + 1 : end].rstrip(b"\\")) - at - 1) % 2:
        end = body.index(b'"', end + 1)
    return end + 1
