"""An API server over real HTTP: lists in pages, watches with bookmarks, apply, and faults on demand."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from libs.kube.tests.fake_answers import (
    kind_of,
    open_stream,
    partial_if_asked,
    selects,
    send,
    status_response,
)
from libs.kube.tests.fake_fields import Json
from libs.kube.tests.fake_storage import Event, FakeStorage, StatusError

from agent_kube import Access, Client, FixedCredentials, Limits, Resource

Handler = Callable[[web.Request, "Called"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Called:
    verb: str
    resource: Resource
    namespace: str
    name: str
    subresource: str
    query: dict[str, str]
    content_type: str
    body: Any
    at: float

    @property
    def plural(self) -> str:
        return self.resource.plural


@dataclass
class Fault:
    """Replaces the answer of the next `times` matching calls."""

    handler: Handler
    verb: str = ""
    plural: str = ""
    times: int = 1_000_000

    def matches(self, called: Called) -> bool:
        return self.times > 0 and self.verb in ("", called.verb) and self.plural in ("", called.plural)


@dataclass
class FakeApi:
    resources: list[Resource]
    bookmark_s: float = 60.0
    watch_list: bool = False
    token: str | None = None
    storage: FakeStorage = field(default_factory=FakeStorage)
    calls: list[Called] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    watchers: dict[int, asyncio.Queue[Event]] = field(default_factory=dict)
    port: int = 0

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def client(self, **limits: Any) -> AsyncIterator[Client]:
        access = Access(self.url, FixedCredentials(f"Bearer {self.token}" if self.token else None))
        async with Client(access, limits=Limits(**limits)) as client:
            yield client

    # what tests do behind the operator's back

    def create(self, resource: Resource, manifest: Json, manager: str = "kubectl") -> Json:
        return self._told(lambda: self.storage.create(resource.plural, kind_of(resource), manifest, manager))

    def edit(
        self, resource: Resource, name: str, patch: Json, subresource: str = "", namespace: str = "default"
    ) -> Json:
        key = (namespace, name)
        return self._told(
            lambda: self.storage.merge(resource.plural, kind_of(resource), key, patch, "kubectl", subresource)
        )

    def remove(self, resource: Resource, name: str, namespace: str = "default") -> Json:
        return self._told(lambda: self.storage.delete(resource.plural, kind_of(resource), (namespace, name)))

    def read(self, resource: Resource, name: str, namespace: str = "default") -> Json:
        return self.storage.render(resource.plural, kind_of(resource), (namespace, name))

    def names(self, resource: Resource, namespace: str = "") -> list[str]:
        return [name for _, name in self.storage.keys(resource.plural, namespace)]

    def called(self, verb: str, plural: str = "") -> list[Called]:
        return [call for call in self.calls if call.verb == verb and plural in ("", call.plural)]

    def writes(self) -> list[Called]:
        return [call for call in self.calls if call.verb not in ("get", "list", "watch")]

    def fault(self, handler: Handler, verb: str = "", plural: str = "", times: int = 1_000_000) -> Fault:
        fault = Fault(handler, verb, plural, times)
        self.faults.append(fault)
        return fault

    def _told(self, change: Callable[[], Json]) -> Json:
        seen = len(self.storage.history)
        try:
            return change()
        finally:
            for event in self.storage.history[seen:]:
                for queue in self.watchers.values():
                    queue.put_nowait(event)

    # HTTP

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            self._authenticate(request)
            called = await self._read(request)
            self.calls.append(called)
            for fault in self.faults:
                if fault.matches(called):
                    fault.times -= 1
                    return await fault.handler(request, called)
            if called.verb == "watch":
                return await self._watch(request, called)
            return web.json_response(self._answer(request, called))
        except StatusError as error:
            return status_response(error)

    def _authenticate(self, request: web.Request) -> None:
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise StatusError(401, "Unauthorized", "Unauthorized")

    async def _read(self, request: web.Request) -> Called:
        parts = request.path.strip("/").split("/")
        resource, rest, namespace = self._locate(parts)
        name, subresource = [*rest, "", ""][:2]
        body = json.loads(await request.read() or b"null")
        verb = {"POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}.get(request.method, "get")
        if verb == "get" and not name:
            verb = "watch" if "watch" in request.query else "list"
        now = asyncio.get_running_loop().time()
        query = dict(request.query)
        return Called(verb, resource, namespace, name, subresource, query, request.content_type, body, now)

    def _locate(self, parts: list[str]) -> tuple[Resource, list[str], str]:
        for resource in self.resources:
            root = resource.root.strip("/").split("/")
            if parts[: len(root)] != root:
                continue
            rest = parts[len(root) :]
            namespace = rest[1] if len(rest) > 2 and rest[0] == "namespaces" else ""
            rest = rest[2:] if namespace else rest
            if rest and rest[0] == resource.plural:
                return resource, rest[1:], namespace
        raise StatusError(404, "NotFound", "the server could not find the requested resource")

    def _answer(self, request: web.Request, called: Called) -> Json:
        if called.verb == "list":
            return self._list(request, called)
        key, kind, storage = (called.namespace, called.name), kind_of(called.resource), self.storage
        manager = called.query.get("fieldManager", "unknown")
        if called.verb == "create":
            return self._told(lambda: storage.create(called.plural, kind, called.body, manager))
        if called.verb == "replace":
            return self._told(lambda: storage.replace(called.plural, kind, called.body, manager))
        if called.verb == "delete":
            uid = ((called.body or {}).get("preconditions") or {}).get("uid", "")
            return self._told(lambda: storage.delete(called.plural, kind, key, uid))
        if called.verb == "get":
            return storage.render(called.plural, kind, key)
        return partial_if_asked(request, self._told(lambda: self._patch(called, key, manager)))

    def _patch(self, called: Called, key: tuple[str, str], manager: str) -> Json:
        kind = kind_of(called.resource)
        if called.content_type == "application/apply-patch+yaml":
            if "fieldManager" not in called.query:
                raise StatusError(400, "BadRequest", "fieldManager is required for apply patch")
            force = called.query.get("force") == "true"
            return self.storage.apply(called.plural, kind, key, called.body, manager, force=force)
        if called.content_type == "application/merge-patch+json":
            return self.storage.merge(called.plural, kind, key, called.body, manager, called.subresource)
        raise StatusError(415, "UnsupportedMediaType", f"{called.content_type} is not supported")

    def _list(self, request: web.Request, called: Called) -> Json:
        keys = self._selected(called)
        start, version = 0, self.storage.version
        if token := called.query.get("continue"):
            start, version = (int(part) for part in token.split("-"))
            if version < self.storage.compacted:
                raise StatusError(410, "Expired", "The provided continue parameter is too old")
        limit = int(called.query.get("limit", "0")) or len(keys)
        page = keys[start : start + limit]
        items = [partial_if_asked(request, self._item(called, key)) for key in page]
        more = f"{start + limit}-{version}" if start + limit < len(keys) else ""
        metadata = {"resourceVersion": str(version), **({"continue": more} if more else {})}
        return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items or None}

    def _selected(self, called: Called) -> list[tuple[str, str]]:
        keys = self.storage.keys(called.plural, called.namespace)
        return [key for key in keys if selects(called.query, self._item(called, key))]

    def _item(self, called: Called, key: tuple[str, str]) -> Json:
        return self.storage.render(called.plural, kind_of(called.resource), key)

    async def _watch(self, request: web.Request, called: Called) -> web.StreamResponse:
        initial = "sendInitialEvents" in called.query
        if initial and not self.watch_list:
            raise StatusError(422, "Invalid", "sendInitialEvents is forbidden for watch unless WatchList is enabled")
        since = int(called.query.get("resourceVersion") or 0)
        queue: asyncio.Queue[Event] = asyncio.Queue()
        response = await open_stream(request)
        if not initial and since < self.storage.compacted:
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            await send(response, "ERROR", gone)
            return response
        for event in self.storage.history if not initial else ():
            if event.version > since:
                queue.put_nowait(event)
        self.watchers[id(queue)] = queue
        try:
            if initial:
                await self._send_initial(request, response, called)
            await self._follow(request, response, called, queue)
        finally:
            del self.watchers[id(queue)]
        return response

    async def _send_initial(self, request: web.Request, response: web.StreamResponse, called: Called) -> None:
        for key in self._selected(called):
            await send(response, "ADDED", partial_if_asked(request, self._item(called, key)))
        end = {"annotations": {"k8s.io/initial-events-end": "true"}, "resourceVersion": str(self.storage.version)}
        await send(response, "BOOKMARK", {"kind": called.resource.kind, "metadata": end})

    async def _follow(
        self, request: web.Request, response: web.StreamResponse, called: Called, queue: asyncio.Queue[Event]
    ) -> None:
        while True:
            try:
                async with asyncio.timeout(self.bookmark_s):
                    event = await queue.get()
            except TimeoutError:
                metadata = {"resourceVersion": str(self.storage.version)}
                await send(response, "BOOKMARK", {"kind": called.resource.kind, "metadata": metadata})
                continue
            wanted = event.plural == called.plural and called.namespace in ("", event.namespace)
            if wanted and selects(called.query, event.object):
                await send(response, event.type, partial_if_asked(request, event.object))
