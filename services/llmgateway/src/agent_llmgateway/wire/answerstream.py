"""One stream of one provider, read event by event and given on as bytes.

It answers the question the whole gateway is about: was that the end, or did it only stop? A stream is complete
when its dialect says so, and only then; everything else that ends it is a failure.
"""

from contextlib import suppress
from typing import Final, Protocol

from agent_llmgateway.errors import AttemptError, MalformedEventError
from agent_llmgateway.failures.failure import Failure, broken_failure
from agent_llmgateway.wire.dialects import Dialect, EventInfo, merge_usage
from agent_llmgateway.wire.sse import Batch, EventScanner, read_data
from agent_llmgateway.wire.usage import Usage

AFTER_FINISH_S: Final = 2.0
"""How long after its finish a stream may take for usage and sentinel before it is ended for it."""
SETTLE_S: Final = 0.05
"""How long the end of the body may take behind the end of the stream."""


MANY_BYTES: Final = 2048
"""A chunk from which on it pays to look at its middle in one go."""
LAST_EVENTS: Final = 4
"""Events at the end of a stream that are no output: finish, usage, sentinel."""


class ChunkSource(Protocol):
    """Where the bytes come from."""

    async def read_chunk(self, timeout_s: float) -> bytes:
        """As `UpstreamResponse.read_chunk`."""
        ...

    def close(self) -> None:
        """As `UpstreamResponse.close`."""
        ...


class EventTranslator(Protocol):
    """Turns the events of one dialect into those of another."""

    def feed(self, data: bytes) -> bytes:
        """Events for `data`; may be none. Raises MalformedEventError."""
        ...

    def finish(self) -> bytes:
        """The last events; called once, when the stream is complete."""
        ...


class AnswerStream:
    """A stream as the client is to see it.

    `usage` is None until the provider has said it; `failure` is one that is known already and raised next;
    `malformed` counts events that were left out.
    """

    def __init__(self, source: ChunkSource, dialect: Dialect, translator: EventTranslator | None = None) -> None:
        self._source = source
        self._dialect = dialect
        self._translator = translator
        self._scanner = EventScanner()
        self.failure: Failure | None = None
        self.usage: Usage | None = None
        self.outputs = 0
        self.malformed = 0
        self.finished = False
        self.ended = False

    async def next(self, timeout_s: float) -> bytes:
        """More bytes for the client, perhaps none; nothing more comes when `ended` is True.

        Raises AttemptError for an error inside the stream, a cut, or silence of `timeout_s`.
        """
        if self.failure is not None:
            raise AttemptError(self.failure)
        try:
            chunk = await self._source.read_chunk(min(timeout_s, AFTER_FINISH_S) if self.finished else timeout_s)
        except AttemptError:
            if not self.finished:
                raise
            return self._end(b"")
        if chunk:
            return self._take(chunk)
        piece = self._read(self._scanner.finish())
        return piece if self.ended or self.failure is not None else self._close(piece)

    async def settle(self) -> None:
        """Read the end of the body behind the end of the stream, so that the connection can be used again."""
        with suppress(AttemptError):
            await self._source.read_chunk(SETTLE_S)

    def close(self) -> None:
        """Stop reading; the provider is told by the end of the connection, unless the body had ended."""
        self._source.close()

    def _take(self, chunk: bytes) -> bytes:
        """What of a chunk goes on: as it came where it is nothing but output, as nearly all of a stream is."""
        if len(chunk) < MANY_BYTES or self._translator is not None:
            return self._take_part(chunk)
        out: list[bytes] = []
        for part in _cut_ends(chunk):
            if self.ended or self.failure is not None:
                break
            out.append(self._take_part(part))
        return b"".join(out)

    def _take_part(self, part: bytes) -> bytes:
        return part if self._is_plain(part) else self._read(self._feed(part))

    def _is_plain(self, part: bytes) -> bool:
        """Whether `part` is whole events of output, behind the first one."""
        if not self.outputs or self._translator is not None or not self._scanner.is_aligned or b"\r" in part:
            return False
        count = self._dialect.count_plain(part)
        self.outputs += count
        return count > 0

    def _feed(self, part: bytes) -> Batch:
        try:
            return self._scanner.feed(part)
        except MalformedEventError as error:
            raise AttemptError(broken_failure(str(error))) from error

    def _close(self, piece: bytes) -> bytes:
        """The source has ended."""
        if self.finished:
            return self._end(piece)
        self.failure = broken_failure("the stream ended before the answer was complete")
        return piece

    def _end(self, piece: bytes) -> bytes:
        """The answer is complete: add what its dialect has at the end and the provider left out."""
        self.ended = True
        return piece + (self._translator.finish() if self._translator else self._dialect.sentinel)

    def _read(self, batch: Batch) -> bytes:
        out: list[bytes] = []
        whole = self._translator is None
        for block in batch.blocks:
            data = read_data(block)
            if data is None:
                out.append(block)
                continue
            try:
                info = self._dialect.read_event(data)
                shown = block if self._translator is None or info.failure else self._translator.feed(data)
            except MalformedEventError:
                self.malformed += 1
                whole = False
                continue
            if info.failure is not None:
                self.failure = info.failure
                return b"".join(out)
            self._note(info)
            if info.done:
                return self._read_done(out, shown)
            out.append(shown)
        return batch.raw if whole else b"".join(out)

    def _read_done(self, out: list[bytes], last: bytes) -> bytes:
        if not self.finished:  # a sentinel without a finish: cut, however politely
            self.failure = broken_failure("the stream ended before the answer was complete")
            return b"".join(out)
        self.ended = True
        out.append(last if self._translator is None else last + self._translator.finish())
        return b"".join(out)

    def _note(self, info: EventInfo) -> None:
        if info.output:
            self.outputs += 1
        if info.finish:
            self.finished = True
        if info.usage is not None:
            self.usage = merge_usage(self.usage, info.usage)


def _cut_ends(chunk: bytes) -> tuple[bytes, ...]:
    """The first two events, with which a stream may begin; those in between; the last, with which it may end."""
    begins = chunk.find(b"\n\n", chunk.find(b"\n\n") + 2) + 2
    ends = len(chunk)
    for _ in range(LAST_EVENTS):
        ends = chunk.rfind(b"\n\n", begins, ends)
    return (chunk[:begins], chunk[begins : ends + 2], chunk[ends + 2 :]) if ends > begins > 2 else (chunk,)
