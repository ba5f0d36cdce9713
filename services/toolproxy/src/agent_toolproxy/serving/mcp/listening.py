"""What a client is told unasked: `subscriptions/listen` of 2026-07-28, and the stream of a session before that."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Final

from aiohttp import web

from agent_toolproxy.errors import CallError
from agent_toolproxy.mcp.messages import (
    ACKNOWLEDGED,
    INVALID_PARAMS,
    KEY_SUBSCRIPTION,
    PROMPTS_CHANGED,
    RESOURCE_UPDATED,
    RESOURCES_CHANGED,
    TOOLS_CHANGED,
    Json,
    RequestId,
    notification,
    response,
)
from agent_toolproxy.serving.mcp.answer import Answer, Reply
from agent_toolproxy.serving.mcp.calls import RpcError
from agent_toolproxy.serving.mcp.methods import Offers
from agent_toolproxy.serving.mcp.modern import complete
from agent_toolproxy.serving.mcp.sessions import ClientSession
from agent_toolproxy.tools.servers.signals import Kind, Signals, Subscriber

_CHANGED: Final[dict[Kind, str]] = {
    "tools": TOOLS_CHANGED,
    "prompts": PROMPTS_CHANGED,
    "resources": RESOURCES_CHANGED,
}
_MOST_STREAMS: Final = 256
Tell = Callable[[str, Json], Awaitable[None]]


class Listeners:
    """The streams that are open. `close` ends them all."""

    def __init__(self, signals: Signals, offers: Offers, keep_alive_s: float) -> None:
        self._signals = signals
        self._offers = offers
        self._keep_alive_s = keep_alive_s
        self._closing = asyncio.Event()
        self._streams = 0

    def close(self) -> None:
        """End the streams, with their results where they have one."""
        self._closing.set()

    async def serve_modern(self, message: Json, answer: Answer) -> web.StreamResponse:
        """`subscriptions/listen`: until the client goes, or we do. Raises RpcError."""
        wanted = message["params"].get("notifications")
        if not isinstance(wanted, dict):
            raise RpcError(INVALID_PARAMS, "params.notifications must be an object")
        if self._streams >= _MOST_STREAMS:
            raise RpcError(INVALID_PARAMS, f"{_MOST_STREAMS} streams are open already")
        message_id: RequestId = message["id"]
        subscriber = Subscriber()

        async def tell(method: str, params: Json) -> None:
            await answer.notify(notification(method, {**params, "_meta": {KEY_SUBSCRIPTION: message_id}}))

        try:
            kinds = [kind for kind in _CHANGED if wanted.get(f"{kind}ListChanged") is True]
            honoured: Json = {f"{kind}ListChanged": True for kind in kinds}
            if uris := self._watch(wanted.get("resourceSubscriptions", []), subscriber):
                honoured["resourceSubscriptions"] = uris
            changes = self._signals.announcements.follow()
            await tell(ACKNOWLEDGED, {"notifications": honoured})
            await self._stream(answer, tell, _listed(changes, kinds), subscriber, self._closing.wait())
        finally:
            self._signals.drop(subscriber)
        result = complete({"_meta": {}})
        result["_meta"][KEY_SUBSCRIPTION] = message_id
        return await answer.finish(Reply(response(message_id, result)))

    def _watch(self, uris: object, subscriber: Subscriber) -> list[str]:
        """Those of the URIs that can be watched."""
        if not isinstance(uris, list) or not all(isinstance(each, str) for each in uris):
            raise RpcError(INVALID_PARAMS, "resourceSubscriptions must be a list of URIs")
        for uri in uris:
            with contextlib.suppress(CallError):
                self._offers.subscribe(uri, subscriber)
        return list(subscriber.watched)

    async def serve_session(self, session: ClientSession, answer: Answer) -> web.StreamResponse:
        """The stream of a session. A new one takes the place of the one before."""
        session.replaced.set()
        session.replaced = replaced = asyncio.Event()
        session.streams += 1

        async def tell(method: str, params: Json) -> None:
            await answer.notify(notification(method, params) if params else notification(method))

        try:
            changes = self._signals.announcements.follow()
            await answer.begin()
            await self._stream(answer, tell, _listed(changes, _CHANGED), session.subscriber, self._ended(replaced))
        finally:
            session.streams -= 1
            session.touch()
        return await answer.finish(Reply(None))

    async def _ended(self, replaced: asyncio.Event) -> None:
        tasks = [asyncio.create_task(event.wait()) for event in (self._closing, replaced)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _stream(
        self, answer: Answer, tell: Tell, changes: AsyncIterator[Kind], subscriber: Subscriber, end: Awaitable[object]
    ) -> None:
        self._streams += 1
        try:
            async with asyncio.TaskGroup() as group:
                tasks = (
                    group.create_task(_tell_changes(tell, changes)),
                    group.create_task(_tell_updates(tell, subscriber)),
                    group.create_task(self._beat(answer)),
                )
                await end
                for task in tasks:
                    task.cancel()
        finally:
            self._streams -= 1

    async def _beat(self, answer: Answer) -> None:
        while True:
            await asyncio.sleep(self._keep_alive_s)
            await answer.keep_alive()


async def _listed(changes: AsyncIterator[list[Kind]], kinds: Collection[Kind]) -> AsyncIterator[Kind]:
    async for changed in changes:
        for kind in changed:
            if kind in kinds:
                yield kind


async def _tell_changes(tell: Tell, changes: AsyncIterator[Kind]) -> None:
    async for kind in changes:
        await tell(_CHANGED[kind], {})


async def _tell_updates(tell: Tell, subscriber: Subscriber) -> None:
    while True:
        for uri in await subscriber.next():
            await tell(RESOURCE_UPDATED, {"uri": uri})
