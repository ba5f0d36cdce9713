"""HTTP to the agent: paths, limits, and every error in the dialect of the path it happened on.

The low-level server of aiohttp and a dictionary of paths: an application's routing would cost more than the
gateway's own work on a request.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import msgspec
from aiohttp import web

from agent_api import layout
from agent_kit.boundedsite import BoundedSite
from agent_kit.callerauth import Door
from agent_kit.telemetry import SILENT_SPAN
from agent_llmgateway.config.providerset import ProviderSet
from agent_llmgateway.errors import (
    BadRequestError,
    NotAdmittedError,
    NotJsonError,
    RefusalError,
    UnknownMethodError,
    UnknownModelError,
    UnknownPathError,
    UpgradeError,
)
from agent_llmgateway.failover.routing import list_models
from agent_llmgateway.http.account import KEPT_BYTES, OPERATIONS
from agent_llmgateway.http.bodies import read_ready, receive_body
from agent_llmgateway.http.callrecord import content_text
from agent_llmgateway.http.completion import CompletionHandler
from agent_llmgateway.http.delivery import UNREAD_BYTES, within_unread
from agent_llmgateway.http.prepare import select_headers
from agent_llmgateway.http.problems import DELIVERY, Answered, answer_error
from agent_llmgateway.http.spans import request_attributes
from agent_llmgateway.http.state import GatewayState
from agent_llmgateway.upstream.heldmemory import LEAST_BYTES, STREAM_BYTES, Lease
from agent_llmgateway.wire.call import Call
from agent_llmgateway.wire.dialects import DIALECTS, Dialect
from agent_llmgateway.wire.envelope import read_envelope
from agent_llmgateway.wire.meter import RequestMeter
from agent_llmgateway.wire.tokencount import COUNTS

_log = logging.getLogger(__name__)
_http_log = logging.getLogger(f"{__name__}.http")
"""Of heads that are not HTTP, in one line each: the client made them, so no trace of ours explains anything."""
_PATHS: Final[dict[str, Dialect]] = {dialect.path: dialect for dialect in DIALECTS.values()}
_MODELS: Final = "/v1/models"
_JSON: Final = "application/json"
IDLE_S: Final = 75.0
"""Until a connection without a whole head of a request is closed."""
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _without_trace(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True


_http_log.addFilter(_without_trace)


class GatewayServer:
    """The agent's side. Listens between `start` and `drain`."""

    def __init__(self, state: GatewayState, door: Door) -> None:
        self._state = state
        self._door = door
        self._runner: web.ServerRunner | None = None
        self._site: BoundedSite | None = None
        self._listening = False

    async def start(self, host: str, port: int) -> int:
        """Listen; the port. Raises OSError."""
        server = web.Server(
            self._handle,
            request_factory=self._make_request,
            handler_cancellation=True,
            access_log=None,
            logger=_http_log,
            keepalive_timeout=IDLE_S,
            tcp_keepalive=True,
        )
        self._runner = web.ServerRunner(server, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        self._site = BoundedSite(self._runner, host, port, backlog=4096)
        await self._site.start()
        self._listening = True
        return int(self._runner.addresses[0][1])

    def check(self) -> str | None:
        """A readiness check: a configuration is in use a little before anyone can connect."""
        return None if self._listening else "agents are not served yet"

    async def drain(self, grace_s: float) -> None:
        """Stop accepting, let what is being answered end within `grace_s`, then cut the rest."""
        if self._runner is None or self._site is None:
            return
        await self._site.stop()
        server = self._runner.server
        if server is not None:
            server.pre_shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._state.wait_idle()
        cut = self._state.in_flight
        if cut:
            _log.warning("streams were cut at the end of the grace period", extra={"requests": cut})
        await self._runner.cleanup()

    def _make_request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:  # noqa: ANN401 - aiohttp's
        return web.BaseRequest(
            message,
            payload,
            protocol,
            writer,
            task,
            asyncio.get_running_loop(),
            client_max_size=self._state.limit_bytes(),
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        door, path = layout.split_door(request.path)
        dialect = _PATHS.get(path)
        self._state.enter()
        try:
            if dialect is None:
                return self._answer_other(request, door, path)
            try:
                self._admit(request, door)
                response = await self._complete(request, dialect)
            except ConnectionError:
                raise
            except Exception as error:  # noqa: BLE001 - a fault of ours is told in the dialect too
                response = _respond(answer_error(dialect, error, self._state.redactor))
            self._state.metrics.note_request(dialect.name, response.status)
        except ConnectionError:
            self._state.metrics.note_gone()
            return web.Response()  # nobody is there to read it
        except asyncio.CancelledError:
            self._state.metrics.note_gone()
            raise
        finally:
            self._state.leave()
        return response

    def _admit(self, request: web.BaseRequest, door: str) -> None:
        """Raises NotAdmittedError unless the request is the agent's."""
        headers = request.headers
        refusal = self._door.check_source(headers) or self._door.check_token(
            headers.get("Authorization"), headers.get("x-api-key"), headers.get("api-key"), door[len(layout.DOOR) + 1 :]
        )
        if refusal is not None:
            raise NotAdmittedError(refusal)

    async def _complete(self, request: web.BaseRequest, dialect: Dialect) -> web.StreamResponse:
        _require_call(request)
        state, lease = self._state, Lease(self._state.memory)
        try:
            body = read_ready(request, state.limit_bytes(), lease)
            if body is None:
                if dialect.name not in COUNTS:  # what is here already is judged when it has been read
                    state.budget.check(state.present.config.budget)
                body = await receive_body(request, state.limit_bytes(), lease)
            call, provider_set = self._read_call(request, dialect, body, lease)
            provider_set.enter()
            try:
                if call.stream:
                    await lease.extend(STREAM_BYTES - LEAST_BYTES)
                if not state.telemetry.enabled:  # the W3C headers are among those that are passed on
                    response = await CompletionHandler(state, provider_set, call, SILENT_SPAN).run(request)
                else:
                    response = await self._trace(request, provider_set, call)
                await _send_large(request, response)
                return response
            finally:
                provider_set.leave()
        finally:
            lease.close()

    def _read_call(
        self, request: web.BaseRequest, dialect: Dialect, body: bytes, lease: Lease
    ) -> tuple[Call, ProviderSet]:
        """What is asked, and the providers of now: the caller enters them before it waits for anything."""
        envelope, body = read_envelope(body)
        provider_set = self._state.present
        call = Call(
            dialect=dialect,
            body=body,
            envelope=envelope,
            model=envelope.model or "",
            stream=envelope.stream is True and dialect.name in ("chat", "responses", "messages"),
            delivery=_delivery_of(request, provider_set.config.delivery),
            headers=select_headers(request.headers),
            query=request.rel_url.raw_query_string,
            meter=RequestMeter(measures_text=provider_set.has_budget),
            hold=lease.grow,
        )
        return call, provider_set

    async def _trace(self, request: web.BaseRequest, provider_set: ProviderSet, call: Call) -> web.StreamResponse:
        """The exchange inside a span, whose context goes to the provider."""
        state = self._state
        operation = OPERATIONS.get(call.dialect.name, "chat")
        attributes = request_attributes(operation, call)
        parent = state.telemetry.extract(request.headers) or state.run_parent
        with state.telemetry.span(
            f"{operation} {call.model}", kind="client", parent=parent, attributes=attributes
        ) as span:
            headers = dict(call.headers)
            state.telemetry.inject(headers, parent)
            if provider_set.config.capture_content:
                span.set("gen_ai.input.messages", content_text(state.redactor.redact, call.body[:KEPT_BYTES]))
            return await CompletionHandler(
                state, provider_set, msgspec.structs.replace(call, headers=headers), span
            ).run(request)

    def _answer_other(self, request: web.BaseRequest, door: str, path: str) -> web.StreamResponse:
        as_anthropic = "anthropic-version" in request.headers
        dialect = DIALECTS["messages" if as_anthropic else "chat"]
        try:
            self._admit(request, door)
            if path != _MODELS and not path.startswith(f"{_MODELS}/"):
                served = ", ".join([*_PATHS, _MODELS])
                raise UnknownPathError(f"{path[:256]} is not served; served are {served}")
            if request.method != "GET":
                raise UnknownMethodError(request.method, "GET")
            names = list_models(self._state.present.config)
            wanted = path.removeprefix(_MODELS).removeprefix("/")
            if not wanted:
                return _json(_list_document(names, as_anthropic=as_anthropic))
            if wanted not in names:
                raise UnknownModelError(wanted, names)
            return _json(_model_document(wanted, as_anthropic=as_anthropic))
        except RefusalError as refusal:
            return _respond(answer_error(dialect, refusal, self._state.redactor))


async def _send_large(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Send a whole answer that the transport does not take at once while its memory is held."""
    body = response.body if isinstance(response, web.Response) else None
    if isinstance(body, bytes) and len(body) > UNREAD_BYTES:
        await response.prepare(request)
        await within_unread(request.transport, response.write_eof())


def _model_document(name: str, *, as_anthropic: bool) -> dict[str, Any]:
    if as_anthropic:
        return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
    return {"id": name, "object": "model", "created": 0, "owned_by": "agentberth"}


def _list_document(names: list[str], *, as_anthropic: bool) -> dict[str, Any]:
    models = [_model_document(name, as_anthropic=as_anthropic) for name in names]
    if as_anthropic:
        ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
        return {"data": models, "has_more": False, **ends}
    return {"object": "list", "data": models}


def _delivery_of(request: web.BaseRequest, default: str) -> Any:  # noqa: ANN401 - a Literal
    asked = request.headers.get(DELIVERY, default)
    if asked not in ("live", "complete"):
        raise BadRequestError(f"{DELIVERY} must be live or complete", code="invalid_header", param=DELIVERY)
    return asked


def _require_call(request: web.BaseRequest) -> None:
    """Raises UpgradeError, UnknownMethodError and NotJsonError.

    What a web page can send without being asked about is a form or plain text.
    """
    if request.headers.get("upgrade", "").lower() == "websocket":
        raise UpgradeError
    if request.method != "POST":
        raise UnknownMethodError(request.method, "POST")
    declared = request.headers.get("Content-Type", "")
    if declared != _JSON and declared.partition(";")[0].strip().lower() != _JSON:
        raise NotJsonError


def _json(document: dict[str, Any]) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")


def _respond(answered: Answered) -> web.Response:
    status, body, headers = answered
    return web.Response(status=status, body=body, headers={**headers, "content-type": "application/json"})
