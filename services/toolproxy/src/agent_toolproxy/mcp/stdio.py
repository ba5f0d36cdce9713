"""A server that is a child process: one JSON message per line."""

import asyncio
import contextlib
import itertools
import logging
import re
from collections.abc import Mapping
from signal import SIGKILL
from typing import Any, Final

from agent_base.redaction import LineRedactor, Redactor
from agent_toolproxy.boundedjson import DEEPEST_LIST, dump_json, load_json
from agent_toolproxy.errors import UpstreamProtocol, UpstreamTimeout, UpstreamUnavailable
from agent_toolproxy.mcp.era import answers, find_fault
from agent_toolproxy.mcp.inflight import InFlight
from agent_toolproxy.mcp.linelog import LineLog
from agent_toolproxy.mcp.link import Exchange, MessageListener
from agent_toolproxy.mcp.messages import (
    CANCELLED,
    LOG_MESSAGE,
    PROGRESS,
    Json,
    RequestId,
    notification,
)
from agent_toolproxy.mcp.questions import Questions, answering
from agent_toolproxy.messagememory import MessageRoom, Turn
from agent_toolproxy.process.lines import LineReader, LineTooLong
from agent_toolproxy.process.runner import LINE_BYTES, Child, Outcome

_log = logging.getLogger(__name__)
_STDERR_CHUNK_BYTES: Final = 1 << 14
_WRITE_S: Final = 10.0
_LINES_IN_A_ROW: Final = 50
_MOST_JUNK_LINES: Final = 10_000
_JUNK_LINES_LOGGED: Final = 5
_JUNK_CHARS: Final = 300
_JUNK_READ_BYTES: Final = 16_384
_LONGEST_ID_CHARS: Final = 16
_ANSWERED_ID: Final = re.compile(rb'"id"\s*:\s*"?(\d{1,15})"?\s*[,}]')


class StdioLink:
    """Talks to one child. `run` reads what it says, until it ends."""

    silence_is_legacy = True

    def __init__(self, name: str, child: Child, redactor: Redactor, room: MessageRoom) -> None:
        self._name = name
        self._child = child
        self._waiting: dict[RequestId, asyncio.Future[Json]] = {}
        self._lines = LineReader(child.stdout, room, LINE_BYTES)
        self._turns: dict[RequestId, Turn] = {}
        """Of answers that nobody has taken yet."""
        self._listeners: dict[RequestId, MessageListener] = {}
        self._in_flight = InFlight()
        self._unasked: MessageListener | None = None
        self._writing = asyncio.Lock()
        self._redact_junk = LineRedactor(redactor).redact
        self._stderr = LineLog(name, LineRedactor(redactor).redact)
        self._ended = False
        self._gone = ""
        self._junk_lines = 0

    async def run(self) -> None:
        """Read until the child ends; then raise UpstreamUnavailable. Whoever waits for an answer is told of any end."""
        try:
            async with asyncio.TaskGroup() as group:
                draining = group.create_task(self._drain_stderr())
                try:
                    async with answering(self._write) as questions:
                        await self._read_messages(questions)
                finally:
                    self._lines.close()
                    draining.cancel()
                    self._stderr.close()
                    if self._junk_lines > _JUNK_LINES_LOGGED:
                        _log.warning(
                            "lines of a server that are not MCP",
                            extra={"server": self._name, "lines": self._junk_lines},
                        )
        except asyncio.CancelledError:
            self._fail(f"the connection to {self._name} was given up")
            raise
        except BaseException as problem:
            self._fail(f"the connection to {self._name} was given up: {_cause_of(problem)}")
            raise
        self._ended = True
        self._fail(f"the server process ended{self._why()}")
        raise UpstreamUnavailable(self._gone)

    async def exchange(self, exchange: Exchange, listener: MessageListener) -> Json:
        """The response to a request."""
        if self._gone:
            raise UpstreamUnavailable(self._gone)
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[exchange.message_id] = future
        self._listeners[exchange.message_id] = listener
        try:
            async with asyncio.timeout(exchange.timeout_s):
                with self._in_flight.track(exchange):
                    await self._write(exchange.message)
                    answer = await future
                self._turns.pop(exchange.message_id).keep()
                return answer
        except TimeoutError as problem:
            raise UpstreamTimeout(f"{self._name} did not answer within {exchange.timeout_s:g} s") from problem
        finally:
            self._waiting.pop(exchange.message_id, None)
            self._listeners.pop(exchange.message_id, None)
            if (turn := self._turns.pop(exchange.message_id, None)) is not None:
                turn.end()

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self._waiting

    def drain(self, reason: str) -> None:
        """Take no more requests: they end with UpstreamUnavailable, before anything of them was sent."""
        self._gone = self._gone or reason

    async def notify(self, message: Json, headers: Mapping[str, str]) -> None:  # noqa: ARG002 - the protocol's
        await self._write(message)

    async def cancel(self, message_id: RequestId, headers: Mapping[str, str], *, modern: bool) -> None:  # noqa: ARG002
        """Both eras say it with a notification here."""
        with contextlib.suppress(UpstreamUnavailable, UpstreamTimeout):
            await self._write(notification(CANCELLED, {"requestId": message_id}))

    def forget_session(self) -> None:
        """The process is the session."""

    async def watch(self, listener: MessageListener, headers: Mapping[str, str]) -> None:  # noqa: ARG002 - likewise
        """Give `listener` what comes unasked, for ever."""
        self._unasked = listener
        await asyncio.Event().wait()

    async def _write(self, message: Json) -> None:
        line = dump_json(message).encode() + b"\n"
        try:
            async with asyncio.timeout(_WRITE_S), self._writing:
                self._child.stdin.write(line)
                await self._child.stdin.drain()
        except TimeoutError as problem:
            raise UpstreamTimeout(f"{self._name} does not read its input") from problem
        except (OSError, RuntimeError) as problem:
            raise UpstreamUnavailable(self._gone or f"{self._name} does not take messages any more") from problem

    async def _read_messages(self, questions: Questions) -> None:
        for number in itertools.count(1):
            try:
                line = await self._lines.next()
            except LineTooLong as problem:
                raise UpstreamProtocol(f"{self._name} sent {problem}") from None
            if not line:
                return
            await self._take(line, questions)
            if number % _LINES_IN_A_ROW == 0:
                await asyncio.sleep(0)  # what is buffered already would keep everyone else waiting

    async def _take(self, line: bytes, questions: Questions) -> None:
        try:
            message = load_json(line, deepest=DEEPEST_LIST)
            fault = find_fault(message)
        except ValueError as problem:
            message, fault = None, str(problem)
        if fault is not None:
            self._take_junk(line, message, fault)
        elif "method" not in message:
            self._take_response(message)
        elif "id" in message:
            await questions.take(message, self._in_flight.only_caller())
        else:
            await self._pass_on(message)

    def _take_response(self, message: Json) -> None:
        message_id = own_id(message["id"])
        future = self._waiting.get(message_id)
        if future is not None and not future.done():
            self._turns[message_id] = self._lines.turn.hand_over()
            future.set_result(message)

    def _take_junk(self, line: bytes, message: object, fault: str) -> None:
        """A line that is no message. If it is the answer to a call, the caller learns at once that it is unreadable."""
        self._junk_lines += 1
        if self._junk_lines > _MOST_JUNK_LINES:
            raise UpstreamProtocol(f"{self._name} wrote {_MOST_JUNK_LINES} lines to its output that are not MCP")
        if self._junk_lines <= _JUNK_LINES_LOGGED and line.strip():
            shown = self._redact_junk(line[:_JUNK_READ_BYTES].decode("utf-8", "replace").strip()) or ""
            _log.warning(
                "a server wrote a line that is not MCP",
                extra={"server": self._name, "reason": fault, "line": shown[:_JUNK_CHARS]},
            )
        future = next((self._waiting[each] for each in self._waiting if _is_answer(line, message, each)), None)
        if future is not None and not future.done():
            future.set_exception(UpstreamProtocol(f"{self._name} sent an answer that cannot be read: {fault}"))

    async def _pass_on(self, message: Json) -> None:
        listeners: list[MessageListener] = []
        if message["method"] == PROGRESS:
            listeners = list(self._listeners.values())
        elif message["method"] == LOG_MESSAGE:
            await self._pass_on_log(message)
        elif (wanted := subscription_of(message)) is not None:
            listeners = [self._listeners[wanted]] if wanted in self._listeners else []
        elif self._unasked is not None:
            listeners = [self._unasked]
        for listener in listeners:
            await listener(message)

    async def _pass_on_log(self, message: Json) -> None:
        if (caller := self._in_flight.only_caller()) is not None:
            await caller.log(message.get("params", {}))

    async def _drain_stderr(self) -> None:
        while chunk := await self._child.stderr.read(_STDERR_CHUNK_BYTES):
            self._stderr.feed(chunk)

    def describe_end(self, outcome: Outcome) -> str:
        """Why the process is no more, when it ended of itself."""
        if outcome.error:
            return f"its program cannot be run: {outcome.error}"
        how = f" with exit code {outcome.exit_code}" if outcome.exit_code is not None else ""
        if outcome.signal is not None:
            how = f" by signal {outcome.signal}" + (", as when memory runs out" if outcome.signal == SIGKILL else "")
        return f"the server process ended{how}{self._why()}"

    @property
    def has_ended(self) -> bool:
        """Whether the process closed its output."""
        return self._ended

    def _fail(self, reason: str) -> None:
        self._gone = self._gone or reason
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(UpstreamUnavailable(self._gone))

    def _why(self) -> str:
        return f"; its last words: {self._stderr.last_line}" if self._stderr.last_line else ""


def _is_answer(line: bytes, message: object, awaited: RequestId) -> bool:
    """By what was parsed, else by what stands at the beginning or the end of the line."""
    if message is not None:
        return answers(message, awaited)
    ends = line[:_JUNK_CHARS], line[-_JUNK_CHARS:]
    found = (match for end in ends for match in _ANSWERED_ID.finditer(end))
    return b'"jsonrpc"' in line and any(int(match[1]) == awaited for match in found)


def _cause_of(problem: BaseException) -> str:
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return str(problem)


def own_id(message_id: object) -> RequestId:
    """The id of one of our requests, which some servers give back as a text; -1 for what is none."""
    if isinstance(message_id, str) and message_id.isdecimal() and len(message_id) < _LONGEST_ID_CHARS:
        return int(message_id)
    return message_id if isinstance(message_id, int) else -1


def subscription_of(message: Json) -> RequestId | None:
    """The listen request that a notification belongs to."""
    meta: Any = message.get("params", {}).get("_meta")
    found = meta.get("io.modelcontextprotocol/subscriptionId") if isinstance(meta, dict) else None
    return found if isinstance(found, str | int) else None
