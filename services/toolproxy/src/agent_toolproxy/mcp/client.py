"""A conversation with one upstream server: finds out its era, then lists and calls its tools in it."""

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal

from agent_toolproxy.boundedjson import dump_json
from agent_toolproxy.call import ProgressListener
from agent_toolproxy.errors import (
    UpstreamAuth,
    UpstreamHttp,
    UpstreamProtocol,
    UpstreamRefused,
    UpstreamSessionLost,
    UpstreamTimeout,
)
from agent_toolproxy.mcp.codec import encode_header
from agent_toolproxy.mcp.link import Exchange, Link, MessageListener
from agent_toolproxy.mcp.messages import (
    HEADER_METHOD,
    HEADER_MISMATCH,
    HEADER_NAME,
    HEADER_VERSION,
    KEY_CAPABILITIES,
    KEY_CLIENT,
    KEY_VERSION,
    LATEST_LEGACY,
    LEGACY_VERSIONS,
    MISSING_CAPABILITY,
    MODERN,
    MODERN_VERSIONS,
    PROGRESS,
    SERVER_INFO,
    UNSUPPORTED_VERSION,
    Json,
    notification,
    request,
)

Era = Literal["modern", "legacy"]
PROBE_S: Final = 10.0
_VERSION: Final = re.compile(r"[0-9A-Za-z.-]{1,32}")
_MOST_PAGES: Final = 100
_MOST_TOOLS: Final = 5000
_LARGEST_LIST_CHARS: Final = 8 << 20
_LONGEST_PROGRESS_CHARS: Final = 1000
_LONGEST_REASON_CHARS: Final = 2000
_KNOWN_RESULTS: Final = ("complete", "input_required")


class Session:
    """Speaks with one server over one link. `era` is known after `connect`, or given from an earlier time."""

    def __init__(self, link: Link, *, era: Era | None = None, probe_s: float = PROBE_S) -> None:
        self.era = era
        self.version = MODERN if era == "modern" else LATEST_LEGACY
        self.watches_list = False
        self._link = link
        self._probe_s = probe_s
        self._ids = itertools.count(1)
        self._reopening = asyncio.Lock()
        self._generation = 0

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
        self.watches_list = bool(_dig(result, "capabilities", "tools", "listChanged"))
        return isinstance(supported, list) and MODERN in supported

    @staticmethod
    def _judge_refusal(refusal: UpstreamRefused) -> bool:
        if refusal.code in (HEADER_MISMATCH, MISSING_CAPABILITY):
            raise UpstreamProtocol(f"the server refuses the probe: {refusal}") from refusal
        if refusal.code != UNSUPPORTED_VERSION:
            return False
        supported = _dig(refusal.data, "supported")
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
        params = {"protocolVersion": LATEST_LEGACY, "capabilities": {}, "clientInfo": dict(SERVER_INFO)}
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
        self.watches_list = bool(_dig(result, "capabilities", "tools", "listChanged"))
        self._generation += 1
        await self._link.notify(notification("notifications/initialized"), self._headers("notifications/initialized"))

    async def list_tools(self, timeout_s: float) -> list[Any]:
        """The definitions of all pages, each still to be checked. Raises UpstreamError."""
        tools: list[Any] = []
        size = 0
        seen: set[str] = set()
        params: Json = {}
        async with asyncio.timeout(timeout_s):
            for _ in range(_MOST_PAGES):
                page = await self._request_again_if_lost("tools/list", params, timeout_s=timeout_s)
                found = page.get("tools")
                if not isinstance(found, list):
                    raise UpstreamProtocol("the answer to tools/list has no tools")
                tools += found
                size += len(dump_json(found))
                if len(tools) > _MOST_TOOLS or size > _LARGEST_LIST_CHARS:
                    raise UpstreamProtocol(
                        f"tools/list has more than {_MOST_TOOLS} tools, or more than {_LARGEST_LIST_CHARS} characters"
                    )
                cursor = page.get("nextCursor")
                if not isinstance(cursor, str) or cursor in seen:
                    break
                seen.add(cursor)
                params = {"cursor": cursor}
        return tools

    async def call_tool(
        self,
        params: Json,
        *,
        timeout_s: float,
        capabilities: Mapping[str, Any],
        headers: Mapping[str, str],
        on_progress: ProgressListener | None,
    ) -> Json:
        """The result of one call, which is sent once. Raises UpstreamError."""
        return await self._request_again_if_lost(
            "tools/call",
            params,
            timeout_s=timeout_s,
            capabilities=capabilities,
            headers=headers,
            on_progress=on_progress,
        )

    async def watch(self, on_change: Callable[[Json], Awaitable[None]]) -> None:
        """Give `on_change` the notifications that come unasked, as long as the server sends them."""
        if self.era == "modern":
            wanted: Json = {"notifications": {"toolsListChanged": True}}
            await self.request("subscriptions/listen", wanted, timeout_s=None, listener=on_change)
        else:
            await self._link.watch(on_change, self._headers(""))

    async def _request_again_if_lost(self, method: str, params: Json, **more: Any) -> Json:  # noqa: ANN401 - as request
        """A handshake server that has forgotten our session has not run anything: shake hands and ask again, once.

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
        on_progress: ProgressListener | None = None,
        listener: MessageListener | None = None,
    ) -> Json:
        """The result of one request. Raises UpstreamError; cancelling it cancels the request."""
        message_id = next(self._ids)
        token = f"p{message_id}"
        message = request(
            message_id, method, self._with_meta(params, capabilities or {}, token if on_progress else None)
        )
        all_headers = {**self._headers(method, params.get("name")), **(headers or {})}
        listen = listener or _progress_listener(token, on_progress)
        try:
            reply = await self._link.exchange(Exchange(message, all_headers, timeout_s), listen)
        except (UpstreamTimeout, asyncio.CancelledError):
            if method not in ("initialize", "server/discover"):
                await self._link.cancel(message_id, self._headers(""), modern=self.era == "modern")
            raise
        return _result_of(reply)

    def _with_meta(self, params: Json, capabilities: Mapping[str, Any], token: str | None) -> Json:
        meta = dict(params.get("_meta", {}))
        if token:
            meta["progressToken"] = token
        if self.era == "modern":
            meta |= {KEY_VERSION: self.version, KEY_CAPABILITIES: dict(capabilities), KEY_CLIENT: dict(SERVER_INFO)}
        return {**params, "_meta": meta} if meta else params

    def _headers(self, method: str, name: object = None) -> dict[str, str]:
        headers = {HEADER_VERSION: self.version} if self.version else {}
        if self.era == "modern":
            headers[HEADER_METHOD] = method
            if method == "tools/call":
                headers[HEADER_NAME] = encode_header(str(name))
        return headers


def _progress_listener(token: str, on_progress: ProgressListener | None) -> MessageListener:
    async def listen(message: Json) -> None:
        params = message.get("params", {})
        if on_progress is None or message["method"] != PROGRESS or params.get("progressToken") != token:
            return
        if is_number(params.get("progress")):
            await on_progress(_readable_progress(params))

    return listen


def is_number(value: object) -> bool:
    """JSON's numbers, without Python's booleans."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _readable_progress(params: Json) -> Json:
    """The parts of a progress notification that are what they should be; the others are left out."""
    progress: Json = {"progress": params["progress"]}
    if is_number(params.get("total")):
        progress["total"] = params["total"]
    if isinstance(params.get("message"), str):
        progress["message"] = params["message"][:_LONGEST_PROGRESS_CHARS]
    return progress


def _result_of(reply: Json) -> Json:
    if (failure := reply.get("error")) is not None:
        code, text = _dig(failure, "code"), _dig(failure, "message")
        if code in (401, 403):
            raise UpstreamAuth("the server refused the credential")
        reason = str(text or failure)[:_LONGEST_REASON_CHARS]
        raise UpstreamRefused(code if isinstance(code, int) else 0, reason, _dig(failure, "data"))
    result = reply.get("result")
    if not isinstance(result, dict):
        raise UpstreamProtocol("a result that is not an object")
    if result.get("resultType", "complete") not in _KNOWN_RESULTS:
        raise UpstreamProtocol(f"a result of an unknown kind: {str(result['resultType'])[:50]!r}")
    return result


def _dig(value: Any, *keys: str) -> Any:  # noqa: ANN401 - any JSON
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
