"""Streams to the client: live as they come, or complete, after a whole answer is there.

Once bytes are out there is one promise left: what is not complete is never made to look so. A stream that breaks
ends with an error event in the client's dialect, and with a connection that is closed in the middle of its body.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from math import inf
from typing import Final

from aiohttp import web

from agent_llmgateway.errors import AttemptError, GatewayError
from agent_llmgateway.failover.dependencies import RoutedAnswer
from agent_llmgateway.failover.failover import Failover
from agent_llmgateway.http.account import RequestAccount
from agent_llmgateway.http.problems import (
    ATTEMPTS,
    OVERHEAD,
    PROVIDER,
    count_tries,
    describe_error,
    problem_of,
)
from agent_llmgateway.http.state import GatewayState
from agent_llmgateway.providererrors.classify import Failure, silent_failure
from agent_llmgateway.wire.answerstream import AnswerStream
from agent_llmgateway.wire.call import Call
from agent_llmgateway.wire.dialects import Problem

_log = logging.getLogger(__name__)
KEEP_ALIVE_S: Final = 5.0
"""Between two comments while a whole answer is awaited; also how long a real status is still possible."""
KEEP_ALIVE: Final = b": keep-alive\n\n"
USAGE_S: Final = 0.5
"""How long the usage of a finished stream is waited for when the client has gone."""
ARRIVED_S: Final = 0.02
"""How long what has come already is read on when the client has gone."""
SLICE_BYTES: Final = 1 << 16
UNREAD_BYTES: Final = 1 << 16
"""Less than that the transport takes at once, whether or not the client reads."""
UNREAD_S: Final = 60.0
"""How long a client may leave an answer unread."""


def number_headers(state: GatewayState, attempts: int, overhead_s: float) -> dict[str, str]:
    """The headers that count, and the metric that goes with them."""
    state.metrics.note_overhead(overhead_s)
    return {ATTEMPTS: str(attempts), OVERHEAD: f"{max(0.0, overhead_s) * 1000:.3f}"}


async def within_unread(transport: asyncio.Transport | None, writing: Awaitable[None]) -> None:
    """Write. Raises ConnectionResetError for a client that does not read, whose connection ends here."""
    try:
        async with asyncio.timeout(UNREAD_S):
            await writing
    except TimeoutError:
        if transport is not None:
            transport.abort()
        raise ConnectionResetError("the client does not read") from None


class Delivery:
    """Sends one stream."""

    def __init__(self, state: GatewayState, call: Call, request: web.BaseRequest, account: RequestAccount) -> None:
        self._state = state
        self._call = call
        self._request = request
        self._account = account

    async def send_live(self, routed: RoutedAnswer, headers: Mapping[str, str]) -> web.StreamResponse:
        """Send what was held back, then everything as it comes."""
        stream = _stream_of(routed)
        failure: Failure | None = None
        gone = True
        try:
            response = await self._open({**headers, **self._numbers_of(routed)})
            await self._write(response, b"".join(routed.answer.held))
            routed.answer.held.clear()
            try:
                await self._relay(routed, stream, response)
                await within_unread(self._request.transport, response.write_eof())
            except AttemptError as error:
                failure = error.failure
                await self._break_off(response, problem_of(failure, self._state.redactor.redact))
            except ConnectionError:
                raise
            except Exception:  # noqa: BLE001 - the promise holds for faults of ours too
                _log.exception("the gateway failed in a stream")
                await self._break_off(response, Problem(500, "the gateway failed", "api_error", "gateway_error"))
            gone = False
            return response
        finally:
            self._tell_breaker(routed, failure, gone=gone)
            await self._close(stream, gone=gone)
            self._account.note_stream_end(routed, failure)

    async def send_complete(
        self, failover: Failover, headers_of: Callable[[RoutedAnswer], dict[str, str]]
    ) -> web.StreamResponse:
        """Wait for a whole answer with comments that keep the connection alive, then send it.

        Until the first comment a failure is still told with its status.
        """
        response: web.StreamResponse | None = None
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(_hold_error(failover), name="whole answer")
            while not (await asyncio.wait({run}, timeout=KEEP_ALIVE_S))[0]:
                response = response or await self._open({})
                await response.write(KEEP_ALIVE)
        outcome = run.result()
        if isinstance(outcome, GatewayError):
            if response is None:
                raise outcome
            await self._break_off(response, describe_error(outcome, self._state.redactor.redact).problem)
            return response
        return await self._send_whole(outcome, response, headers_of(outcome))

    async def _send_whole(
        self, routed: RoutedAnswer, response: web.StreamResponse | None, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        stream = _stream_of(routed)
        gone = True
        try:
            numbers = self._numbers_of(routed)
            if response is None:
                response = await self._open({**headers, **numbers})
            else:
                await response.write(f": {PROVIDER}={routed.plan.route.provider}\n\n".encode())
            for piece in routed.answer.held:
                for at in range(0, len(piece), SLICE_BYTES):
                    await self._write(response, piece[at : at + SLICE_BYTES])
            await within_unread(self._request.transport, response.write_eof())
            gone = False
            return response
        finally:
            self._account.note_stream_end(routed, None)
            await self._close(stream, gone=gone)

    async def _write(self, response: web.StreamResponse, piece: bytes) -> None:
        """Raises ConnectionResetError for a client that does not read."""
        self._account.note_piece(piece)
        transport = self._request.transport
        if transport is None or (
            len(piece) < UNREAD_BYTES // 2
            and transport.get_write_buffer_size() <= transport.get_write_buffer_limits()[0]
        ):  # below its lower limit a transport has not been paused
            await response.write(piece)
        else:
            await within_unread(transport, response.write(piece))

    async def _open(self, headers: Mapping[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", **headers}
        )
        await response.prepare(self._request)
        return response

    async def _relay(self, routed: RoutedAnswer, stream: AnswerStream, response: web.StreamResponse) -> None:
        """Raises AttemptError when the stream breaks."""
        timeouts = routed.plan.timeouts
        if not stream.outputs:
            await self._relay_quiet(stream, response, timeouts.first_token_last - timeouts.first_token)
        while not stream.ended:
            outputs = stream.outputs
            piece = await stream.next(timeouts.idle)
            if piece:
                await self._write(response, piece)
            if stream.outputs == outputs and not stream.ended:
                await self._relay_quiet(stream, response, timeouts.total, idle_s=timeouts.idle)

    async def _relay_quiet(
        self, stream: AnswerStream, response: web.StreamResponse, within_s: float, *, idle_s: float = inf
    ) -> None:
        """Relay what carries no output, until something does. Raises AttemptError when nothing did `within_s`."""
        output_by = self._state.clock() + within_s
        outputs = stream.outputs
        while stream.outputs == outputs and not stream.ended:
            left_s = output_by - self._state.clock()
            if left_s <= 0:
                raise AttemptError(silent_failure("the stream goes on without output"))
            piece = await stream.next(min(idle_s, left_s))
            if piece:
                await self._write(response, piece)

    async def _break_off(self, response: web.StreamResponse, problem: Problem) -> None:
        """The error event, then the end of the connection without the end of the body."""
        with suppress(ConnectionError):
            await within_unread(self._request.transport, response.write(self._call.dialect.error_event(problem)))
        response.force_close()
        if self._request.transport is not None:
            self._request.transport.close()

    def _numbers_of(self, routed: RoutedAnswer) -> dict[str, str]:
        overhead_s = self._state.clock() - self._account.began - routed.upstream_s
        return number_headers(self._state, count_tries(routed.attempts), overhead_s)

    def _tell_breaker(self, routed: RoutedAnswer, failure: Failure | None, *, gone: bool) -> None:
        limits = self._state.present.config.limits
        if failure is not None:
            self._state.board.fail(
                routed.breaker, failure, threshold=limits.breaker_failures, open_s=limits.breaker_open_seconds
            )  # fmt: skip
        elif not gone:
            self._state.board.succeed(routed.breaker)

    async def _close(self, stream: AnswerStream, *, gone: bool) -> None:
        try:
            if gone:  # in a task of its own: this one may have been cancelled
                await asyncio.wait({asyncio.ensure_future(_read_on(stream))})
            elif stream.ended:
                await stream.settle()
        finally:
            stream.close()


async def _read_on(stream: AnswerStream) -> None:
    """Count what has come of a stream whose client is gone, and hear what it took when all of it has come."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + (USAGE_S if stream.finished else ARRIVED_S)
    with suppress(AttemptError):
        while not stream.ended and (left_s := ends_at - loop.time()) > 0:
            await stream.next(left_s)


async def _hold_error(failover: Failover) -> RoutedAnswer | GatewayError:
    try:
        return await failover.run()
    except GatewayError as error:
        return error


def _stream_of(routed: RoutedAnswer) -> AnswerStream:
    if routed.answer.stream is None:
        raise GatewayError("a stream was expected")
    return routed.answer.stream
