"""How long a try may take to show something, and how long the beginning of a stream is held back from the client.

Before a stream has carried output, an error in it can still be hidden by asking another provider. So its first events
are held back, bounded in number, bytes and time.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto

import msgspec

from agent_api.gatewayconfig import GatewayLimits, Timeouts
from agent_llmgateway.errors import AttemptError
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import broken_failure
from agent_llmgateway.wire.answerstream import AnswerStream


class AttemptDeadlines(msgspec.Struct, frozen=True):
    """The limits of one try. `ends_at` and `began_at` are moments of the failover's clock, the others seconds of it.

    `first_token_s` is for the first output. After `hold_s` the headers of the last route go out, with or without it.
    """

    timeouts: Timeouts
    first_token_s: float
    hold_s: float
    ends_at: float
    as_stream: bool = False
    """A whole answer is to be asked for as a stream, where it loses nothing by that."""
    began_at: float = 0.0

    @property
    def words_by(self) -> float:
        """When something else than white space of a whole answer has to be there."""
        return self.began_at + (self.timeouts.first_token_last if self.as_stream else self.first_token_s)


class Held(Enum):
    """What one more look at a stream that is held back has found."""

    NOTHING = auto()
    """Only events without output so far."""
    OUTPUT = auto()
    """Something that the model made."""
    LIMIT = auto()
    """No output, and no more may be held."""
    END = auto()
    """The stream is complete."""


class HoldBack:
    """The beginning of one stream; all of it when `whole`. `pieces` are its bytes for the client, `size` in all."""

    def __init__(
        self,
        stream: AnswerStream,
        deadlines: AttemptDeadlines,
        limits: GatewayLimits,
        clock: Callable[[], float],
        *,
        began: float,
        whole: bool,
    ) -> None:
        self._stream = stream
        self._deadlines = deadlines
        self._limits = limits
        self._clock = clock
        self._began = began
        self._whole = whole
        self.size = 0
        self.pieces: list[bytes] = []

    async def next(self) -> Held:
        """Wait for more. Raises AttemptError for an error in the stream, a cut, silence, or more than may be kept."""
        stream = self._stream
        if stream.ended:
            return Held.END
        if not self._whole and stream.outputs:
            return Held.OUTPUT
        now = self._clock()
        if not self._whole and (self._is_full() or now >= self._shows_at):
            return Held.LIMIT
        try:
            piece = await stream.next(self._wait_s(now))
        except AttemptError as error:
            return self._judge_silence(error)
        if stream.failure is not None:
            raise AttemptError(stream.failure)
        self._keep(piece)
        return Held.NOTHING

    @property
    def _shows_at(self) -> float:
        return self._began + self._deadlines.hold_s

    def _is_full(self) -> bool:
        return len(self.pieces) >= self._limits.hold_back_chunks or self.size >= self._limits.hold_back_bytes

    def _wait_s(self, now: float) -> float:
        deadlines = self._deadlines
        if self._stream.outputs:
            return max(0.001, min(deadlines.timeouts.idle, deadlines.ends_at - now))
        ends_at = min(self._began + deadlines.first_token_s, deadlines.ends_at)
        return max(0.001, (ends_at if self._whole else min(ends_at, self._shows_at)) - now)

    def _judge_silence(self, error: AttemptError) -> Held:
        """Perhaps only the hold-back is over. A provider that has begun to answer and is late is slow, not silent."""
        failure = error.failure
        if failure.cause is not Cause.SILENT or self._stream.outputs:
            raise error
        if not self._whole and self._shows_at <= self._clock() < self._began + self._deadlines.first_token_s:
            return Held.LIMIT
        raise AttemptError(replace(failure, cause=Cause.SLOW)) from error

    def _keep(self, piece: bytes) -> None:
        if piece:
            self.pieces.append(piece)
            self.size += len(piece)
        if self.size > self._limits.answer_bytes:
            raise AttemptError(broken_failure(f"the answer is larger than {self._limits.answer_bytes} bytes"))
