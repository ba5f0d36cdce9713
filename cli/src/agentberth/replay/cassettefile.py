"""A cassette as a file: one line for each recording, and no line that changes without a reason.

Recording again keeps the lines of requests and answers that say the same as before, with their ids, times and chunks.
What a commit then shows is what has changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from agent_api.cassette import MOST_LINE_BYTES, MOST_RECORDINGS, CassetteHeader, RecordedResponse, Recording
from agent_base.atomicfile import write_atomically
from agentberth.errors import CommandError
from agentberth.replay import events
from agentberth.replay.bodies import dump, parsed, unpack, unpack_chunk
from agentberth.replay.canonical import LEFT_OUT, Canonical

Model = TypeVar("Model", CassetteHeader, Recording)
_PASSING_HEADERS: Final = ("x-request-id", "request-id", "openai-processing-ms", "x-ratelimit-", "anthropic-ratelimit-")
_PASSING_KEYS: Final = frozenset({"created", "created_at", "completed_at", "duration_ms", "durationMs"})


@dataclass(frozen=True)
class Cassette:
    """The agent whose run was recorded, and its recordings in the order of the requests."""

    agent: str
    recordings: tuple[Recording, ...]


def read_cassette(file: Path) -> Cassette:
    """Raises CommandError, with the line, for what is no cassette."""
    header: CassetteHeader | None = None
    recordings: list[Recording] = []
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                if header is None:
                    header = _parsed(file, number, line, CassetteHeader)
                else:
                    recordings.append(_checked(file, number, _parsed(file, number, line, Recording)))
                if len(recordings) > MOST_RECORDINGS:
                    raise CommandError(f"{file}: has more than {MOST_RECORDINGS} recordings")
    except OSError as error:
        raise CommandError(
            f"{file}: cannot be read: {error.strerror}", cure=f"record it first: agentberth run AGENT --record {file}"
        ) from error
    if header is None:
        raise CommandError(f"{file}: is empty: a cassette begins with its header")
    return Cassette(header.agent, tuple(recordings))


def write_cassette(file: Path, agent: str, recordings: Iterable[Recording]) -> None:
    """Writes the file whole or not at all. Raises CommandError."""
    before = _lines_by_meaning(file)
    header = CassetteHeader(agent=agent, left_out=LEFT_OUT)
    lines = [_line(header)]
    for recording in recordings:
        known = before.get(_meaning(recording))
        lines.append(known.pop(0) if known else _line(recording))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        raise CommandError(f"{file}: cannot be written: {error.strerror}") from error


def _parsed(file: Path, number: int, line: bytes, model: type[Model]) -> Model:
    if len(line) > MOST_LINE_BYTES:
        raise CommandError(f"{file}:{number}: is longer than {MOST_LINE_BYTES} bytes")
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise CommandError(f"{file}:{number}: {place + ': ' if place else ''}{first['msg']}") from error


def _checked(file: Path, number: int, recording: Recording) -> Recording:
    """`recording`, whose bodies can be read."""
    try:
        unpack(recording.request.body)
        unpack(recording.response.body)
        for chunk in recording.response.stream or ():
            unpack_chunk(chunk)
    except ValueError as error:
        raise CommandError(f"{file}:{number}: {error}") from error
    return recording


def _line(model: CassetteHeader | Recording) -> str:
    values = model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return dump({"cassette": model.cassette, **values} if isinstance(model, CassetteHeader) else values)


def _lines_by_meaning(file: Path) -> dict[str, list[str]]:
    """The recordings of an earlier cassette; none when there is none that can be read."""
    found: dict[str, list[str]] = {}
    try:
        recordings = read_cassette(file).recordings
    except CommandError:
        return found
    for recording in recordings:
        found.setdefault(_meaning(recording), []).append(_line(recording))
    return found


def _meaning(recording: Recording) -> str:
    """Equal for recordings that say the same."""
    request, response, canonical = recording.request, recording.response, Canonical()
    headers = {k: v for k, v in sorted(response.headers.items()) if not k.startswith(_PASSING_HEADERS)}
    return dump(
        [
            recording.side,
            canonical.key(request.method, request.path, unpack(request.body)),
            response.status,
            headers,
            response.ending,
            _lasting(_content(response, canonical)),
        ]
    )


def _content(response: RecordedResponse, canonical: Canonical) -> object:
    if response.stream is None:
        return canonical.body(unpack(response.body))
    raw = b"".join(map(unpack_chunk, response.stream))
    return [canonical.value(list(events.data_of(raw))), canonical.text(_frame(raw))]


def _frame(raw: bytes) -> str:
    """A stream without the JSON in it."""
    return events.with_data(raw, lambda data: b"" if parsed(data) is not None else data).decode(errors="replace")


def _lasting(value: object) -> object:
    """`value` without the numbers that are a moment's."""
    if isinstance(value, dict):
        return {key: _lasting(each) for key, each in value.items() if key not in _PASSING_KEYS}
    return [_lasting(each) for each in value] if isinstance(value, list) else value
