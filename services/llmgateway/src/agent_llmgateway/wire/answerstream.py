"""One stream of one provider, read event by event and given on as bytes.

It answers the question the whole gateway is about: was that the end, or did it only stop? A stream is complete
when its dialect says so, and only then; everything else that ends it is a failure.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from agent_kit.errors import EventTooLargeError
from agent_kit.sse import Batch, EventScanner, read_data
from agent_llmgateway.errors import AttemptError, MalformedEventError
from agent_llmgateway.providererrors.classify import Failure, broken_failure
from agent_llmgateway.wire.dialects import Dialect, EventInfo
from agent_llmgateway.wire.fastpath import MANY_BYTES, PlainEvents
from agent_llmgateway.wire.storedstate import states_in
from agent_llmgateway.wire.usage import Usage, merge_usage

AFTER_FINISH_S: Final = 2.0
"""How long after its finish a stream may take for usage and sentinel before it is ended for it."""
EVENT_LIMIT_BYTES: Final = 16 << 20
"""Largest event; a longer one can only be an upstream gone wrong."""
ITEM_DONE: Final = b'"response.output_item.done"'
MOST_STATES: Final = 1024
"""Of one stream: what later requests may refer to."""
SETTLE_S: Final = 0.05
"""How long the end of the body may take behind the end of the stream."""


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
    """A stream as the client is to see it. `choices` is how many answers were asked for.

    `usage` is None until the provider has said it, and its own event is left out when the client did not ask for it
    (`hides_usage`). Text is measured only where it `measures`. `failure` is one that is known already and raised next;
    `malformed` counts events that could not be read and went on as they came; `states` are what later requests may
    refer to, when `notes_states`: see `states_in`.
    """

    def __init__(
        self,
        source: ChunkSource,
        dialect: Dialect,
        translator: EventTranslator | None = None,
        *,
        choices: int = 1,
        hides_usage: bool = False,
        measures: bool = False,
    ) -> None:
        self._source = source
        self._dialect = dialect
        self._translator = translator
        self._scanner = EventScanner(EVENT_LIMIT_BYTES)
        self._plain = None if translator else PlainEvents(dialect, measures=measures)
        self._choices = choices
        self._hides_usage = hides_usage
        self.notes_states = False
        self.states: set[bytes] = set()
        self.keep_items: Callable[[bytes], None] | None = None
        self._unfinished: set[int] = set()
        self._finished: set[int] = set()
        self.failure: Failure | None = None
        self.usage: Usage | None = None
        self.outputs = 0
        self._text_bytes = 0
        self.malformed = 0
        self.finished = False
        self.ended = False

    @property
    def text_bytes(self) -> int:
        """Of what the model made; see `measures`."""
        return self._text_bytes + (self._plain.text_bytes if self._plain else 0)

    @property
    def _has_all(self) -> bool:
        return self.finished and len(self._finished) >= self._choices

    async def next(self, timeout_s: float) -> bytes:
        """More bytes for the client, perhaps none; nothing more comes when `ended` is True.

        Raises AttemptError for an error inside the stream, a cut, or silence of `timeout_s`.
        """
        if self.failure is not None:
            raise AttemptError(self.failure)
        only_tail = self._has_all
        try:
            chunk = await self._source.read_chunk(min(timeout_s, AFTER_FINISH_S) if only_tail else timeout_s)
        except AttemptError:
            if not only_tail:
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
        if self._plain is None:
            return self._read(self._feed(chunk))
        if len(chunk) < MANY_BYTES:
            return chunk if self._is_plain(self._plain, chunk) else self._read(self._feed(chunk))
        out: list[bytes] = []
        for part in self._plain.split(chunk):
            if self.ended or self.failure is not None:
                break
            out.append(part if self._is_plain(self._plain, part) else self._read(self._feed(part)))
        return b"".join(out)

    def _is_plain(self, plain: PlainEvents, part: bytes) -> bool:
        """Whether `part` is nothing but output, which is noted then."""
        count = plain.count(part) if self.outputs and self._scanner.is_aligned else 0
        if count:
            self.outputs += count
            if 0 not in self._unfinished:
                self._note_choices((0,), ())
        return count > 0

    def _feed(self, part: bytes) -> Batch:
        try:
            return self._scanner.feed(part)
        except EventTooLargeError as error:
            raise AttemptError(broken_failure(str(error))) from error

    def _close(self, piece: bytes) -> bytes:
        """The source has ended, without a sentinel: a choice that was never seen may still have been to come."""
        if self._has_all:
            return self._end(piece)
        self.failure = broken_failure("the stream ended before the answer was complete")
        return piece

    def _end(self, piece: bytes) -> bytes:
        """The answer is complete: add what its dialect has at the end and the provider left out."""
        last = self._finish()
        if self.failure is None:
            self.ended = True
        return piece + last

    def _finish(self) -> bytes:
        if self._translator is None:
            return self._dialect.sentinel
        try:
            return self._translator.finish()
        except MalformedEventError as error:
            self.failure = _unreadable(error)
            return b""

    def _read(self, batch: Batch) -> bytes:
        out: list[bytes] = []
        hidden = False
        for block in batch.blocks:
            data = read_data(block)
            if data is None:
                out.append(block)
                continue
            try:
                info = self._dialect.read_event(data)
                shown = block if self._translator is None or info.failure else self._translator.feed(data)
            except MalformedEventError as error:
                self.malformed += 1
                if self._translator is not None:
                    self.failure = _unreadable(error)
                    return b"".join(out)
                out.append(block)  # the client speaks the same dialect: it may know better
                continue
            if info.failure is not None:
                self.failure = info.failure
                return b"".join(out)
            self._note(info)
            if self.notes_states and len(self.states) < MOST_STATES:
                self.states.update(states_in(data))
            if self.keep_items is not None and ITEM_DONE in data:
                self.keep_items(data)
            if info.done:
                return self._read_done(out, shown)
            if self._hides_usage and info.usage is not None and info.is_quiet:
                hidden = True
            else:
                out.append(shown)
        return b"".join(out) if hidden or self._translator is not None else batch.raw

    def _read_done(self, out: list[bytes], last: bytes) -> bytes:
        if not self.finished:  # a sentinel without a finish: cut, however politely
            self.failure = broken_failure("the stream ended before the answer was complete")
            return b"".join(out)
        out.append(last if self._translator is None else last + self._finish())
        self.ended = self.failure is None
        return b"".join(out)

    def _note(self, info: EventInfo) -> None:
        if info.output:
            self.outputs += 1
            self._text_bytes += info.text_bytes
        if info.unfinished or info.finished:
            self._note_choices(info.unfinished, info.finished)
        elif info.finish:
            self.finished, self._choices = True, 0  # the dialect knows one answer, and this was its end
        if info.usage is not None:
            self.usage = merge_usage(self.usage, info.usage)

    def _note_choices(self, unfinished: tuple[int, ...], finished: tuple[int, ...]) -> None:
        """Complete is an answer when each of its choices that was seen has its end."""
        self._finished.update(finished)
        self._unfinished.update(unfinished)
        self._unfinished -= self._finished
        self.finished = bool(self._finished) and not self._unfinished


def _unreadable(error: MalformedEventError) -> Failure:
    return broken_failure(f"the answer cannot be read: {error}")
