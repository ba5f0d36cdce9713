"""A server that is a child process: one JSON message per line."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any, Final

from agent_toolproxy.errors import UpstreamTimeout, UpstreamUnavailable
from agent_toolproxy.mcp.codec import dump_json, load_json
from agent_toolproxy.mcp.era import find_fault
from agent_toolproxy.mcp.link import Exchange, MessageListener
from agent_toolproxy.mcp.messages import (
    CANCELLED,
    METHOD_NOT_FOUND,
    PROGRESS,
    Json,
    RequestId,
    error,
    notification,
    response,
)
from agent_toolproxy.process.runner import Child

_log = logging.getLogger(__name__)
_STDERR_CHUNK_BYTES: Final = 1 << 14
_STDERR_KEPT_BYTES: Final = 2048
_WRITE_S: Final = 10.0


class StdioLink:
    """Talks to one child. `run` reads what it says, until it ends."""

    silence_is_legacy = True

    def __init__(self, name: str, child: Child) -> None:
        self._name = name
        self._child = child
        self._waiting: dict[RequestId, asyncio.Future[Json]] = {}
        self._listeners: dict[RequestId, MessageListener] = {}
        self._unasked: MessageListener | None = None
        self._writing = asyncio.Lock()
        self._last_words = b""
        self._gone = ""

    async def run(self) -> None:
        """Read until the child ends; then raise UpstreamUnavailable. Whoever waits for an answer is told of any end."""
        try:
            async with asyncio.TaskGroup() as group:
                draining = group.create_task(self._drain_stderr())
                try:
                    await self._read_messages()
                finally:
                    draining.cancel()
        except asyncio.CancelledError:
            self._fail(f"the connection to {self._name} was given up")
            raise
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
                await self._write(exchange.message)
                return await future
        except TimeoutError as problem:
            raise UpstreamTimeout(f"{self._name} did not answer within {exchange.timeout_s:g} s") from problem
        finally:
            self._waiting.pop(exchange.message_id, None)
            self._listeners.pop(exchange.message_id, None)

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

    async def _read_messages(self) -> None:
        while True:
            try:
                line = await self._child.stdout.readline()
            except ValueError:
                self._fail(f"{self._name} sent a line that is too long")
                return
            if not line:
                return
            await self._take(line)

    async def _take(self, line: bytes) -> None:
        try:
            message = load_json(line)
        except ValueError:
            message = None
        if message is None or find_fault(message) is not None:
            if line.strip():
                _log.warning("a server wrote something that is not MCP", extra={"server": self._name})
            return
        if "method" not in message:
            future = self._waiting.get(message["id"]) if isinstance(message["id"], str | int) else None
            if future is not None and not future.done():
                future.set_result(message)
        elif "id" in message:
            await self._answer(message)
        else:
            await self._pass_on(message)

    async def _answer(self, message: Json) -> None:
        known = message["method"] == "ping"
        said = response(message["id"], {}) if known else error(message["id"], METHOD_NOT_FOUND, "Method not found")
        with contextlib.suppress(UpstreamUnavailable, UpstreamTimeout):
            await self._write(said)

    async def _pass_on(self, message: Json) -> None:
        listeners: list[MessageListener] = []
        if message["method"] == PROGRESS:
            listeners = list(self._listeners.values())
        elif (wanted := subscription_of(message)) is not None:
            listeners = [self._listeners[wanted]] if wanted in self._listeners else []
        elif self._unasked is not None:
            listeners = [self._unasked]
        for listener in listeners:
            await listener(message)

    async def _drain_stderr(self) -> None:
        while chunk := await self._child.stderr.read(_STDERR_CHUNK_BYTES):
            self._last_words = (self._last_words + chunk)[-_STDERR_KEPT_BYTES:]

    def _fail(self, reason: str) -> None:
        self._gone = self._gone or reason
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(UpstreamUnavailable(self._gone))

    def _why(self) -> str:
        text = self._last_words.decode("utf-8", "replace").strip()
        last = text.splitlines()[-1].strip() if text else ""
        return f"; its last words: {last[:300]}" if last else ""


def subscription_of(message: Json) -> RequestId | None:
    """The listen request that a notification belongs to."""
    meta: Any = message.get("params", {}).get("_meta")
    found = meta.get("io.modelcontextprotocol/subscriptionId") if isinstance(meta, dict) else None
    return found if isinstance(found, str | int) else None
