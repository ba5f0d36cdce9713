"""What a handshake server asks meanwhile, answered beside the reading of what it says: a person may take long."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from agent_toolproxy.call import Caller
from agent_toolproxy.errors import ToolProxyError
from agent_toolproxy.mcp.caller import answer_server
from agent_toolproxy.mcp.messages import INTERNAL_ERROR, Json, error

_log = logging.getLogger(__name__)
MOST_AT_A_TIME: Final = 32
Reply = Callable[[Json], Awaitable[None]]


class Questions:
    """Of one stream of messages. Use `answering`."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, message: Json, caller: Caller | None) -> None:
        """Answer a request of the server, for `caller` or, where there is none, by ourselves."""
        if len(self._tasks) >= MOST_AT_A_TIME:
            text = f"{MOST_AT_A_TIME} requests of this server are being answered: wait for one of them"
            await self._send(error(message["id"], INTERNAL_ERROR, text))
            return
        task = asyncio.create_task(self._answer(message, caller), name="question of a server")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Nobody waits for the answers any more."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, message: Json, caller: Caller | None) -> None:
        try:
            answer = await answer_server(message, caller)
        except Exception:  # noqa: BLE001 - the boundary of what a server asks
            _log.exception("a server's request could not be handled", extra={"method": message["method"][:100]})
            answer = error(message["id"], INTERNAL_ERROR, "the tool proxy failed")
        await self._send(answer)

    async def _send(self, answer: Json) -> None:
        with contextlib.suppress(ToolProxyError, TimeoutError):
            await self._reply(answer)


@asynccontextmanager
async def answering(reply: Reply) -> AsyncIterator[Questions]:
    """Questions whose answers are given to `reply`; those that are open in the end are given up."""
    questions = Questions(reply)
    try:
        yield questions
    finally:
        await questions.close()
