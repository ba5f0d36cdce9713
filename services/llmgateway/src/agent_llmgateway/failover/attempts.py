"""One try of one route, up to the moment where there is something to show to the client."""

from collections.abc import Awaitable, Callable, Mapping
from time import time
from typing import Final, NoReturn, Protocol

import msgspec
from yarl import URL

from agent_api.gatewayconfig import GatewayLimits
from agent_llmgateway.errors import AttemptError, MalformedEventError
from agent_llmgateway.failover.deadlines import AttemptDeadlines, Held, HoldBack
from agent_llmgateway.providererrors.classify import broken_failure, read_failure
from agent_llmgateway.surrogates import join_halves
from agent_llmgateway.upstream.connections import UpstreamResponse
from agent_llmgateway.wire.answerstream import AnswerStream, ChunkSource
from agent_llmgateway.wire.call import Call, WireRequest
from agent_llmgateway.wire.collect import STREAMED, as_stream_request, open_collector
from agent_llmgateway.wire.lenient import BOM
from agent_llmgateway.wire.usage import Usage
from agent_llmgateway.wire.wholestream import WholeSource, events_of

ERROR_BYTES: Final = 1 << 20
"""Most that is read of an error answer."""
ERROR_BODY_S: Final = 5.0
"""How long the words of an error may take to come behind its status, which says most of it."""


STREAM_BEGINNINGS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
"""A stream is known by these when its content type does not say so."""


HELD_COPIES: Final = 2
"""Of what is held back: as it came, and as it is sent."""
NO_MEMORY: Final = "the answer is larger than the memory that is left for answers"
_GOES_ON: Final = frozenset({"queued", "in_progress"})
"""Of a response: it is made in the background, and nobody will say what it took."""


class Answer(msgspec.Struct):
    """An answer that has begun. `body` is None for a stream; `held` are its first bytes, in the client's dialect."""

    headers: Mapping[str, str]
    body: bytes | None = None
    usage: Usage | None = None
    stream: AnswerStream | None = None
    held: list[bytes] = msgspec.field(default_factory=list)
    model: str = ""
    finish_reason: str = ""


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
        self,
        call: Call,
        wire: WireRequest,
        key_headers: Mapping[str, str],
        deadlines: AttemptDeadlines,
        limits: GatewayLimits,
    ) -> Answer:
        """An answer that has begun. Raises AttemptError."""
        began, trial = self._clock(), call.meter.current
        body = as_stream_request(wire.dialect.name, wire.body) if deadlines.as_stream else None
        response = await self._send(wire, body, key_headers, deadlines, began)
        try:
            if not 200 <= response.status < 300:
                await self._raise_error(call, response, wire, deadlines)
            if not call.stream:
                if await self._is_whole(wire, response, deadlines, asked_for_stream=body is not None):
                    return await self._read_whole(call, wire, response, deadlines, limits)
                return await self._collect(call, wire, response, deadlines, limits, began)
            source = await self._open_source(call, wire, response, deadlines, limits)
            translator = wire.open_stream() if wire.open_stream else None
            has_choices = call.dialect.name == wire.dialect.name == "chat"
            stream = trial.stream = AnswerStream(
                source,
                wire.dialect,
                translator,
                choices=max(1, call.envelope.n or 1) if has_choices else 1,
                hides_usage=wire.hides_usage,
                measures=call.meter.measures_text,
            )
            stream.notes_states, stream.keep_items = wire.notes_states, wire.keep_items
            whole = call.delivery == "complete"
            held = HoldBack(stream, deadlines, limits, self._clock, began=began, whole=whole)
            await _hold_back(call, held)
            return Answer(response.headers, stream=stream, held=held.pieces, usage=stream.usage)
        except BaseException:
            response.close()
            raise

    def _send(
        self,
        wire: WireRequest,
        body: bytes | None,
        key_headers: Mapping[str, str],
        deadlines: AttemptDeadlines,
        began: float,
    ) -> Awaitable[UpstreamResponse]:
        """`body` asks for a stream in place of the request's own; None sends that as it is."""
        first_token_s = deadlines.first_token_s
        if deadlines.as_stream and body is None:  # nothing is seen of it until it is there
            first_token_s = deadlines.timeouts.first_token_last
        left_s = min(deadlines.ends_at - began, first_token_s)
        headers = {**wire.headers, **key_headers}
        if body is not None:
            headers["accept"] = "text/event-stream"
        return self._upstream.post(
            wire.url,
            wire.body if body is None else body,
            headers,
            connect_s=deadlines.timeouts.connect,
            headers_s=left_s if left_s > 0 else 0.0,
        )

    async def _collect(
        self,
        call: Call,
        wire: WireRequest,
        response: UpstreamResponse,
        deadlines: AttemptDeadlines,
        limits: GatewayLimits,
        began: float,
    ) -> Answer:
        """The whole answer that a stream is."""
        stream = call.meter.current.stream = AnswerStream(response, wire.dialect, open_collector(wire.dialect.name))
        held = HoldBack(stream, deadlines, limits, self._clock, began=began, whole=True)
        await _hold_back(call, held)
        await stream.settle()
        return self._make_whole(call, wire, response, b"".join(held.pieces))

    async def _raise_error(
        self, call: Call, response: UpstreamResponse, wire: WireRequest, deadlines: AttemptDeadlines
    ) -> NoReturn:
        wait_s = min(deadlines.timeouts.idle, ERROR_BODY_S)
        try:
            body = await response.read_all(ERROR_BYTES, wait_s, wait_s, call.hold)
        except AttemptError:
            body = b""
        raise AttemptError(
            read_failure(response.status, response.headers, body, dialect=wire.dialect.name, now_epoch_s=time())
        )

    async def _read_whole(
        self,
        call: Call,
        wire: WireRequest,
        response: UpstreamResponse,
        deadlines: AttemptDeadlines,
        limits: GatewayLimits,
    ) -> Answer:
        return self._make_whole(call, wire, response, await self._read_body(call, response, deadlines, limits))

    async def _read_body(
        self, call: Call, response: UpstreamResponse, deadlines: AttemptDeadlines, limits: GatewayLimits
    ) -> bytes:
        body = response.read_ready()
        if body is None:
            await response.skip_blank(max(0.001, min(deadlines.words_by, deadlines.ends_at) - self._clock()))
            left_s = max(0.001, deadlines.ends_at - self._clock())
            body = await response.read_all(limits.answer_bytes, deadlines.timeouts.idle, left_s, call.hold)
        return body

    def _make_whole(self, call: Call, wire: WireRequest, response: UpstreamResponse, body: bytes) -> Answer:
        trial = call.meter.current
        try:
            facts = wire.dialect.read_answer(body)
            trial.usage, trial.is_answered = facts.usage, facts.finish_reason not in _GOES_ON
            trial.answer = body
            if facts.failure is not None:
                raise AttemptError(facts.failure)
            shown = body if wire.read_whole is None else wire.read_whole(body)
            if wire.keep_items is not None:
                wire.keep_items(body)
        except MalformedEventError as error:
            raise AttemptError(broken_failure(f"the answer is not what the provider's API says: {error}")) from error
        response.close()
        model, finish_reason = join_halves(facts.model), join_halves(facts.finish_reason)
        return Answer(response.headers, shown, facts.usage, model=model, finish_reason=finish_reason)

    async def _open_source(
        self,
        call: Call,
        wire: WireRequest,
        response: UpstreamResponse,
        deadlines: AttemptDeadlines,
        limits: GatewayLimits,
    ) -> ChunkSource:
        """The stream, or an answer that has come whole. Raises AttemptError for the error in it, when it has one."""
        if await self._is_stream(response, deadlines):
            return response
        body = await self._read_body(call, response, deadlines, limits)
        try:
            if (failure := wire.dialect.read_answer(body).failure) is not None:
                raise AttemptError(failure)
            events = events_of(wire.dialect.name, body)
            if not call.hold(len(events)):
                raise AttemptError(broken_failure(NO_MEMORY))
            return WholeSource(response, events)
        except MalformedEventError as error:
            words = f"the provider answered a request for a stream without one: {error}"
            raise AttemptError(broken_failure(words)) from error

    async def _is_whole(
        self, wire: WireRequest, response: UpstreamResponse, deadlines: AttemptDeadlines, *, asked_for_stream: bool
    ) -> bool:
        """Some servers stream whatever they are asked for."""
        if wire.dialect.name in STREAMED and _says_stream(response):
            return False
        return not (asked_for_stream and await self._is_stream(response, deadlines))

    async def _is_stream(self, response: UpstreamResponse, deadlines: AttemptDeadlines) -> bool:
        """By its content type, or by how it begins."""
        if _says_stream(response):
            return True
        left_s = max(0.001, deadlines.ends_at - self._clock())
        begins = (await response.peek(min(left_s, deadlines.first_token_s))).removeprefix(BOM).lstrip()
        return begins.startswith(STREAM_BEGINNINGS)


def _says_stream(response: UpstreamResponse) -> bool:
    return "event-stream" in response.headers.get("content-type", "").lower()


async def _hold_back(call: Call, held: HoldBack) -> None:
    """Until there is output, or all of it. Raises AttemptError, also when there is no memory for more."""
    size = 0
    while await held.next() is Held.NOTHING:
        if held.size > size and not call.hold((held.size - size) * HELD_COPIES):
            raise AttemptError(broken_failure(NO_MEMORY))
        size = held.size
