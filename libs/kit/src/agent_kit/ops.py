"""The ops server: health, metrics and the report, on a port of its own.

It is started first and stopped last, so that a service that is still loading, or already draining, can say so.
Its answers are read by whoever can reach the Pod's address: every text is redacted, and no traceback is in one.
Whoever sends a nonce gets the report and the calls signed, where there is a key.
"""

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from agent_api.signing import NONCE, NONCE_HEADER, SIGNATURE_HEADER, Purpose, Signer
from agent_kit.errors import ListenError
from agent_kit.metrics import render_metrics

Check = Callable[[], str | Awaitable[str | None] | None]
"""None when all is well, else the reason in a few words. May be sync or async; must be quick."""

ReportSource = Callable[[], BaseModel | Awaitable[BaseModel]]
CallsSource = Callable[[int], BaseModel]
"""The calls whose number is above that given."""

_log = logging.getLogger(__name__)


class OpsServer:
    """`/livez`, `/readyz`, `/metrics`, `/report` and `/calls` over HTTP, between entering and leaving the context.

    A health path answers 200 `ok`, or 503 with a line for each failed check; `?verbose` lists the others too.
    `/metrics` is 404 without a registry, `/report` without a report. `port` 0 takes a free one.
    Entering raises ListenError when the address cannot be had.
    """

    def __init__(  # noqa: PLR0913 - each is one thing that the server shows
        self,
        host: str | None,
        port: int,
        *,
        live: Mapping[str, Check] | None = None,
        ready: Mapping[str, Check] | None = None,
        registry: CollectorRegistry | None = None,
        report: ReportSource | None = None,
        calls: CallsSource | None = None,
        redact: Callable[[str], str] = str,
        check_timeout_s: float = 1.0,
        signer: Signer | None = None,
        routes: Iterable[web.RouteDef] = (),
    ) -> None:
        self._host = host
        self._wanted_port = port
        self._checks = {"livez": dict(live or {}), "readyz": dict(ready or {})}
        self._registry = registry
        self._report = report
        self._calls = calls
        self._redact = redact
        self._check_timeout_s = check_timeout_s
        self._signer = signer
        self._routes = tuple(routes)
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port in use; 0 when the server is not running and none was asked for."""
        addresses = self._runner.addresses if self._runner else []
        return int(addresses[0][1]) if addresses else self._wanted_port

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/livez", self._answer_health)
        app.router.add_get("/readyz", self._answer_health)
        app.router.add_get("/metrics", self._answer_metrics)
        app.router.add_get("/report", self._answer_report)
        app.router.add_get("/calls", self._answer_calls)
        app.add_routes(self._routes)
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._wanted_port).start()
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            address = f"{self._host or '*'}:{self._wanted_port}"
            reason = getattr(error, "strerror", None) or error
            raise ListenError(f"the ops server cannot listen on {address}: {reason}; set another ops port") from error
        _log.debug("ops server listens", extra={"port": self.port})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer_health(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix("/")
        checks = self._checks[name]
        reasons = await asyncio.gather(*(self._ask(check) for check in checks.values()))
        results = dict(zip(checks, reasons, strict=True))
        failed = any(reason is not None for reason in results.values())
        lines = [
            f"[+] {check} ok" if reason is None else f"[-] {check} failed: {reason}"
            for check, reason in results.items()
            if reason is not None or "verbose" in request.query
        ]
        verdict = f"{name} check failed" if failed else "ok"
        return web.Response(text="\n".join([*lines, verdict]) + "\n", status=503 if failed else 200)

    async def _ask(self, check: Check) -> str | None:
        """Why the check fails, or None. A check that raises or hangs is a failed one, not a failed server."""
        try:
            async with asyncio.timeout(self._check_timeout_s):
                answer = check()
                reason = await answer if inspect.isawaitable(answer) else answer
        except TimeoutError:
            return f"no answer within {self._check_timeout_s:g} s"
        except Exception as error:  # noqa: BLE001 - a check is the service's code; its fault is the answer
            _log.debug("health check raised", exc_info=error)
            return f"the check itself failed with {type(error).__name__}"
        return None if reason is None else self._redact(reason).replace("\n", " ")

    async def _answer_metrics(self, request: web.Request) -> web.Response:
        if self._registry is None:
            return web.Response(status=404, text="this service has no metrics\n")
        accept = request.headers.get("Accept", "")
        body, content_type = await asyncio.to_thread(render_metrics, self._registry, accept)  # reads /proc
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _answer_calls(self, request: web.Request) -> web.Response:
        """Those behind `?after=N`; their texts were redacted when they were made."""
        if self._calls is None:
            return web.Response(status=404, text="this service keeps no calls\n")
        report = await asyncio.to_thread(self._calls, _number(request.query.get("after", "")))
        return self._sign(request, "calls", report.model_dump_json(by_alias=True))

    async def _answer_report(self, request: web.Request) -> web.Response:
        if self._report is None:
            return web.Response(status=404, text="this service has no report\n")
        try:
            made = self._report()
            report = await made if inspect.isawaitable(made) else made
        except Exception as error:  # noqa: BLE001 - a report is the service's code; its fault is the answer
            _log.debug("report raised", exc_info=error)
            return web.Response(status=500, text=f"the report could not be made: {type(error).__name__}\n")
        document = _redact_strings(report.model_dump(mode="json", by_alias=True), self._redact)
        return self._sign(request, "report", json.dumps(document))

    def _sign(self, request: web.Request, purpose: Purpose, text: str) -> web.Response:
        """JSON, signed when that was asked for."""
        body, nonce = text.encode(), request.headers.get(NONCE_HEADER, "")
        signed = self._signer is not None and NONCE.fullmatch(nonce) is not None
        headers = {SIGNATURE_HEADER: self._signer.sign(purpose, nonce, body)} if self._signer and signed else {}
        return web.Response(body=body, content_type="application/json", charset="utf-8", headers=headers)


def _number(text: str) -> int:
    """`text` as a count; 0 for what is none."""
    return int(text) if text.isdecimal() and len(text) < 16 else 0


def _redact_strings(value: Any, redact: Callable[[str], str]) -> Any:  # noqa: ANN401 - a JSON document
    """`value` with its strings redacted one by one: redacting the encoded text could break its syntax."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _redact_strings(item, redact) for key, item in value.items()}
    if isinstance(value, list):
        return [_redact_strings(item, redact) for item in value]
    return value
