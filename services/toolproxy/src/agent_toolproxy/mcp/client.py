"""A conversation with one upstream server: finds out its era, then lists and calls its tools in it."""

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any, Final, Literal

from agent_toolproxy.call import Caller, ProgressListener
from agent_toolproxy.errors import (
    UpstreamHttp,
    UpstreamProtocol,
    UpstreamRefused,
    UpstreamSessionLost,
    UpstreamTimeout,
)
from agent_toolproxy.mcp.caller import BoundedCaller
from agent_toolproxy.mcp.codec import encode_header
from agent_toolproxy.mcp.link import Exchange, Link, MessageListener
from agent_toolproxy.mcp.listing import list_all
from agent_toolproxy.mcp.messages import (
    HEADER_METHOD,
    HEADER_MISMATCH,
    HEADER_NAME,
    HEADER_VERSION,
    KEY_CAPABILITIES,
    KEY_CLIENT,
    KEY_LOG_LEVEL,
    KEY_VERSION,
    LATEST_LEGACY,
    LEGACY_VERSIONS,
    MISSING_CAPABILITY,
    MODERN,
    MODERN_VERSIONS,
    NAMED,
    SERVER_INFO,
    UNSUPPORTED_VERSION,
    Json,
    notification,
    request,
)
from agent_toolproxy.mcp.notices import listen_for
from agent_toolproxy.mcp.replies import dig, result_of

Era = Literal["modern", "legacy"]
PROBE_S: Final = 10.0
_VERSION: Final = re.compile(r"[0-9A-Za-z.-]{1,32}")
LISTS: Final = ("tools", "prompts", "resources")
_DECLARED: Final[Json] = {"elicitation": {"form": {}, "url": {}}, "sampling": {}}
"""What a handshake server may ask of the client that a call is made for; clients that cannot be asked refuse."""


class Session:
    """Speaks with one server over one link. `era` is known after `connect`, or given from an earlier time."""

    def __init__(self, link: Link, *, era: Era | None = None, probe_s: float = PROBE_S) -> None:
        self.era = era
        self.version = MODERN if era == "modern" else LATEST_LEGACY
        self.capabilities: Json = {}
        self._link = link
        self._probe_s = probe_s
        self._ids = itertools.count(1)
        self._reopening = asyncio.Lock()
        self._generation = 0

    @property
    def generation(self) -> int:
        """Grows with each handshake: what was agreed on in an earlier session is forgotten."""
        return self._generation

    async def connect(self, timeout_s: float) -> None:
        """Find out the era, and shake hands where that is needed. Raises UpstreamError."""
        if self.era != "legacy" and await self._probe(timeout_s):
            self.era = "modern"
            return
        self.era = "legacy"
        try:
            await self._initialize(timeout_s)
        except UpstreamRefused as refusal:
            if refusal.code != UNSUPPORTED_VERSION or not await self._probe(timeout_s):
                raise
            self.era = "modern"  # it was too slow to answer the first probe

    async def _probe(self, timeout_s: float) -> bool:
        """Whether the server speaks 2026-07-28."""
        self.era, self.version = "modern", MODERN
        try:
            result = await self.request("server/discover", {}, timeout_s=min(timeout_s, self._probe_s))
        except UpstreamRefused as refusal:
            return self._judge_refusal(refusal)
        except UpstreamTimeout:
            if self._link.silence_is_legacy:
                return False
            raise
        except UpstreamHttp as answer:
            if 400 <= answer.status <= 501:  # old servers fail over a method that they do not know
                return False
            raise
        supported = result.get("supportedVersions")
        self._note_capabilities(result)
        return isinstance(supported, list) and MODERN in supported

    @staticmethod
    def _judge_refusal(refusal: UpstreamRefused) -> bool:
        if refusal.code in (HEADER_MISMATCH, MISSING_CAPABILITY):
            raise UpstreamProtocol(f"the server refuses the probe: {refusal}") from refusal
        if refusal.code != UNSUPPORTED_VERSION:
            return False
        supported = dig(refusal.data, "supported")
        offered = [each for each in supported if isinstance(each, str)] if isinstance(supported, list) else []
        if MODERN in offered:
            return True
        if set(offered) & set(LEGACY_VERSIONS):
            return False
        ours = ", ".join((*MODERN_VERSIONS, *LEGACY_VERSIONS))
        raise UpstreamProtocol(f"no common version: the server has {', '.join(offered) or 'none'}, we have {ours}")

    async def _initialize(self, timeout_s: float) -> None:
        self.version = ""
        self._link.forget_session()
        params = {"protocolVersion": LATEST_LEGACY, "capabilities": _DECLARED, "clientInfo": dict(SERVER_INFO)}
        try:
            result = await self.request("initialize", params, timeout_s=timeout_s)
        except UpstreamHttp as answer:
            if answer.status in (400, 404, 405):
                text = f"{answer}: not MCP over streamable HTTP (the HTTP+SSE transport of 2024-11-05 is not supported)"
                raise UpstreamProtocol(text) from answer
            raise
        version = result.get("protocolVersion")
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise UpstreamProtocol("the answer to initialize has no protocolVersion that is one")
        self.version = version
        self._note_capabilities(result)
        self._generation += 1
        await self._link.notify(notification("notifications/initialized"), self._headers("notifications/initialized"))

    def _note_capabilities(self, result: Json) -> None:
        found = result.get("capabilities")
        self.capabilities = found if isinstance(found, dict) else {}

    def can(self, *path: str) -> bool:
        """Whether the server declares a capability: `can("resources", "subscribe")`."""
        found = dig(self.capabilities, *path)
        return found is not None and found is not False

    async def list_all(self, method: str, key: str, timeout_s: float) -> list[Any]:
        """What is under `key` on all pages, each still to be checked. Raises UpstreamError, TimeoutError."""
        return await list_all(partial(self.call, timeout_s=timeout_s), method, key, timeout_s)

    async def watch(self, on_change: Callable[[Json], Awaitable[None]], uris: Collection[str] = ()) -> None:
        """Give `on_change` the notifications that come unasked, as long as the server sends them.

        `uris` are the resources that are watched in 2026-07-28; the older revisions have a request for each.
        """
        if self.era == "modern":
            kinds = {f"{kind}ListChanged": True for kind in LISTS if self.can(kind, "listChanged")}
            wanted: Json = {"notifications": {**kinds, **({"resourceSubscriptions": sorted(uris)} if uris else {})}}
            await self.request("subscriptions/listen", wanted, timeout_s=None, listener=on_change)
        else:
            await self._link.watch(on_change, self._headers(""))

    async def call(self, method: str, params: Json, **more: Any) -> Json:  # noqa: ANN401 - as request
        """As `request`, in a session that is there. Raises UpstreamError.

        A handshake server that has forgotten our session has not run anything: shake hands and ask again, once.
        Nobody asks while hands are shaken: there is no session to ask in.
        """
        async with self._reopening:
            generation = self._generation
        try:
            return await self.request(method, params, **more)
        except UpstreamSessionLost:
            if self.era != "legacy":
                raise
        async with self._reopening:
            if generation == self._generation:
                await self._initialize(more["timeout_s"])
        return await self.request(method, params, **more)

    async def request(  # noqa: PLR0913 - what a request may have
        self,
        method: str,
        params: Json,
        *,
        timeout_s: float | None,
        capabilities: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        caller: Caller | None = None,
        on_progress: ProgressListener | None = None,
        listener: MessageListener | None = None,
    ) -> Json:
        """The result of one request. Raises UpstreamError; cancelling it cancels the request."""
        message_id = next(self._ids)
        token = f"p{message_id}"
        bounded = BoundedCaller(caller) if caller else None
        with_meta = self._with_meta(params, capabilities or {}, token if on_progress else None, bounded)
        all_headers = {**self._headers(method, params), **(headers or {})}
        listen = listener or listen_for(token, on_progress, bounded)
        exchange = Exchange(request(message_id, method, with_meta), all_headers, timeout_s, bounded)
        try:
            reply = await self._link.exchange(exchange, listen)
        except (UpstreamTimeout, asyncio.CancelledError):
            if method not in ("initialize", "server/discover"):
                await self._link.cancel(message_id, self._headers(""), modern=self.era == "modern")
            raise
        return result_of(reply)

    def _with_meta(
        self, params: Json, capabilities: Mapping[str, Any], token: str | None, caller: Caller | None
    ) -> Json:
        meta = dict(params.get("_meta", {}))
        if token:
            meta["progressToken"] = token
        if self.era == "modern":
            if caller is not None and caller.log_level is not None:
                meta[KEY_LOG_LEVEL] = caller.log_level
            meta |= {KEY_VERSION: self.version, KEY_CAPABILITIES: dict(capabilities), KEY_CLIENT: dict(SERVER_INFO)}
        return {**params, "_meta": meta} if meta else params

    def _headers(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, str]:
        headers = {HEADER_VERSION: self.version} if self.version else {}
        if self.era == "modern":
            headers[HEADER_METHOD] = method
            if params is not None and (key := NAMED.get(method)) is not None:
                headers[HEADER_NAME] = encode_header(str(params.get(key)))
        return headers
