"""Takes secrets out of what is recorded: registered values, and whatever has the shape of one.

A stream is looked at three times: chunk by chunk joined, because a secret may be cut by the network; and by the texts
that its events add up to, because a model says a word in parts.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent_api.cassette import Body, Chunk
from agent_base.redaction import Redactor
from agentberth.replay import events
from agentberth.replay.bodies import dump, pack, pack_chunk, parsed, unpack, unpack_chunk
from agentberth.replay.canonical import DEEPEST, RUN_FOLDER


class Masking:
    """What a cassette may hold. `folder` of the run becomes `{run}` in requests."""

    def __init__(self, redactor: Redactor, folder: Path) -> None:
        self._redactor = redactor
        self._folder = str(folder)

    def request(self, raw: bytes) -> tuple[bytes, bool]:
        """A request's body, and whether something was masked."""
        masked, changed = self.whole(raw)
        return masked.replace(self._folder.encode(), RUN_FOLDER.encode()), changed

    def path(self, path: str) -> str:
        return self._redactor.redact(path)

    def header(self, name: str, value: str) -> str:
        """A header of an answer."""
        return self._redactor.redact_field(name, value)

    def whole(self, raw: bytes) -> tuple[bytes, bool]:
        """A body, and whether something was masked."""
        value = parsed(raw) if raw else None
        if isinstance(value, dict | list):
            masked = self._mask("", value, DEEPEST)
            if masked != value:
                return dump(masked).encode(), True
        text = raw.decode(errors="surrogateescape")
        redacted = self._redactor.redact(text)
        if redacted == text:
            return raw, False
        return redacted.encode(errors="surrogateescape"), True

    def stream(self, chunks: tuple[Chunk, ...]) -> tuple[tuple[Chunk, ...], bool]:
        """A stream, and whether something was masked: its events then come in one chunk each."""
        raw = b"".join(map(unpack_chunk, chunks))
        masked = self._spoken(self._events(raw))
        if masked == raw:
            return chunks, False
        at_ms = chunks[0].at_ms if chunks else 0
        return tuple(pack_chunk(at_ms, event) for event in events.split(masked)), True

    def _events(self, raw: bytes) -> bytes:
        changed = events.with_data(raw, lambda data: self.whole(data)[0])
        text = changed.decode(errors="surrogateescape")
        return self._redactor.redact(text).encode(errors="surrogateescape")

    def _spoken(self, raw: bytes) -> bytes:
        """`raw` without secrets that events tell in parts: the first part is then all of it, masked."""
        spoken: dict[str, str] = {}
        for event in events.data_of(raw):
            for place, text in _texts(event, "", DEEPEST):
                spoken[place] = spoken.get(place, "") + text
        secret = {place: cut for place, said in spoken.items() if (cut := self._redactor.redact(said)) != said}
        if not secret:
            return raw
        return events.with_data(raw, lambda data: _retold(data, secret))

    def _mask(self, name: str, value: Any, depth: int) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, str):
            return self._redactor.redact_field(name, value)
        if depth == 0:
            return "..."
        if isinstance(value, dict):
            return {self._redactor.redact(k): self._mask(k, each, depth - 1) for k, each in value.items()}
        if isinstance(value, list):
            return [self._mask(name, each, depth - 1) for each in value]
        return value


def _texts(value: Any, place: str, depth: int) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict) and depth:
        for key, each in value.items():
            yield from _texts(each, f"{place}/{key}", depth - 1)
    elif isinstance(value, list) and depth:
        for at, each in enumerate(value):
            yield from _texts(each, f"{place}/{at}", depth - 1)


def _retold(data: bytes, secret: dict[str, str]) -> bytes:
    value = parsed(data)
    if not isinstance(value, dict | list):
        return data
    return dump(_replaced(value, "", secret, DEEPEST)).encode()


def _replaced(value: Any, place: str, secret: dict[str, str], depth: int) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str) and place in secret:
        said, secret[place] = secret[place], ""
        return said
    if isinstance(value, dict) and depth:
        return {key: _replaced(each, f"{place}/{key}", secret, depth - 1) for key, each in value.items()}
    if isinstance(value, list) and depth:
        return [_replaced(each, f"{place}/{at}", secret, depth - 1) for at, each in enumerate(value)]
    return value


def masked_body(masking: Masking, body: Body | None) -> tuple[Body | None, bool]:
    """A body of an answer, and whether something was masked."""
    if body is None:
        return None, False
    raw, changed = masking.whole(unpack(body))
    return (pack(raw), True) if changed else (body, False)
