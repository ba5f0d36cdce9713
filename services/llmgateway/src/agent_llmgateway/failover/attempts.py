"""One try of one route, up to the moment where there is something to show to the client.

For a stream that moment is the first event with output: until then its bytes are held back, because until then
an error is only an error and another provider can still answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import time
from typing import Final, NoReturn, Protocol

import msgspec
from yarl import URL

from agent_api.gatewayconfig import GatewayLimits, Timeouts
from agent_llmgateway.errors import AttemptError, MalformedEventError
from agent_llmgateway.failures.failure import Cause, broken_failure, read_failure
from agent_llmgateway.upstream.connections import UpstreamResponse
from agent_llmgateway.wire.answerstream import AnswerStream
from agent_llmgateway.wire.call import Call, WireRequest
from agent_llmgateway.wire.usage import Usage

ERROR_BYTES: Final = 1 << 20
"""Most that is read of an error answer."""


class Answer(msgspec.Struct):
    """An answer that has begun. `body` is None for a stream; `held` are its first bytes, in the client's dialect."""

    headers: Mapping[str, str]
    body: bytes | None = None
    usage: Usage | None = None
    stream: AnswerStream | None = None
    held: list[bytes] = msgspec.field(default_factory=list)
    model: str = ""
    finish_reason: str = ""


class Window(msgspec.Struct, frozen=True):
    """How long a try may take. `ends_at` is the deadline of the whole request, by the clock.

    `first_token_s` is the limit of this route; `hold_s` is when the headers of the last route go out, come what may.
    """

    timeouts: Timeouts
    first_token_s: float
    hold_s: float
    ends_at: float


class Poster(Protocol):
    """The upstream side, as a try needs it."""

    async def post(
        self, url: URL, body: bytes, headers: Mapping[str, str], *, connect_s: float, headers_s: float
    ) -> UpstreamResponse:
        """As `Upstream.post`."""
        ...


class Attempts:
    """Makes tries."""

    def __init__(self, upstream: Poster, clock: Callable[[], float]) -> None:
        self._upstream = upstream
        self._clock = clock

    async def run(
        self, call: Call, wire: WireRequest, key_headers: Mapping[str, str], window: Window, limits: GatewayLimits
    ) -> Answer:
        """An answer that has begun. Raises AttemptError."""
        began = self._clock()
        left_s = window.ends_at - began
        left_s = min(left_s, window.first_token_s)
        response = await self._upstream.post(
            wire.url,
            wire.body,
            {**wire.headers, **key_headers},
            connect_s=window.timeouts.connect,
            headers_s=left_s if left_s > 0 else 0.0,
        )
        try:
            if not 200 <= response.status < 300:
                await self._raise_error(response, wire, window)
            if call.stream:
                return await self._hold_back(call, wire, response, _Patience(window, limits, began))
            return await self._read_whole(wire, response, window, limits)
        except BaseException:
            response.close()
            raise

    async def _raise_error(self, response: UpstreamResponse, wire: WireRequest, window: Window) -> NoReturn:
        try:
            body = await response.read_all(ERROR_BYTES, window.timeouts.idle, window.timeouts.idle)
        except AttemptError:
            body = b""
        raise AttemptError(
            read_failure(response.status, response.headers, body, dialect=wire.dialect.name, now_epoch_s=time())
        )

    async def _read_whole(
        self, wire: WireRequest, response: UpstreamResponse, window: Window, limits: GatewayLimits
    ) -> Answer:
        body = response.read_ready()
        if body is None:
            left_s = max(0.001, window.ends_at - self._clock())
            body = await response.read_all(limits.answer_bytes, window.timeouts.idle, left_s)
        try:
            facts = wire.dialect.read_answer(body)
            if facts.failure is not None:
                raise AttemptError(facts.failure)
            shown = body if wire.read_whole is None else wire.read_whole(body)
        except MalformedEventError as error:
            raise AttemptError(broken_failure("the answer is not what the provider's API says")) from error
        response.close()
        return Answer(response.headers, shown, facts.usage, model=facts.model, finish_reason=facts.finish_reason)

    async def _hold_back(
        self, call: Call, wire: WireRequest, response: UpstreamResponse, patience: "_Patience"
    ) -> Answer:
        if "event-stream" not in response.headers.get("content-type", ""):
            await self._read_whole(wire, response, patience.window, patience.limits)
            raise AttemptError(broken_failure("the provider answered a request for a stream without one"))
        stream = AnswerStream(response, wire.dialect, wire.open_stream() if wire.open_stream else None)
        answer = Answer(response.headers, stream=stream)
        complete = call.delivery == "complete"
        size = 0
        while not stream.ended:
            if stream.outputs and not complete:
                break
            now = self._clock()
            if not complete and patience.is_over(len(answer.held), size, now):
                break
            try:
                piece = await stream.next(patience.wait_s(now, has_output=stream.outputs > 0))
            except AttemptError as error:
                if error.failure.cause is Cause.SILENT and not complete and patience.may_wait_on(self._clock()):
                    continue
                raise
            if stream.failure is not None:
                raise AttemptError(stream.failure)
            if piece:
                answer.held.append(piece)
                size += len(piece)
            if size > patience.limits.answer_bytes:
                raise AttemptError(broken_failure(f"the answer is larger than {patience.limits.answer_bytes} bytes"))
        answer.usage = stream.usage
        return answer


@dataclass(frozen=True, slots=True)
class _Patience:
    window: Window
    limits: GatewayLimits
    began: float

    def is_over(self, pieces: int, size_bytes: int, now: float) -> bool:
        """Whether the hold-back ends without an output."""
        return (
            pieces >= self.limits.hold_back_chunks
            or size_bytes >= self.limits.hold_back_bytes
            or now >= self.began + self.window.hold_s
        )

    def wait_s(self, now: float, *, has_output: bool) -> float:
        """How long the next bytes may take."""
        if has_output:
            return max(0.001, min(self.window.timeouts.idle, self.window.ends_at - now))
        ends_at = min(self.began + self.window.first_token_s, self.began + self.window.hold_s, self.window.ends_at)
        return max(0.001, ends_at - now)

    def may_wait_on(self, now: float) -> bool:
        """Whether what ended was only the hold-back."""
        return now >= self.began + self.window.hold_s and now < self.began + self.window.first_token_s
