"""The choice of a tracer: the OpenTelemetry SDK when there is an endpoint, silence otherwise."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent_kit.errors import SettingsError
from agent_kit.telemetry import SilentTelemetry, Telemetry

if TYPE_CHECKING:
    from agent_kit.otlp import OtlpTelemetry


@asynccontextmanager
async def start_telemetry(
    endpoint: str | None,
    *,
    service: str,
    attributes: Mapping[str, str] | None = None,
    flush_s: float = 2.0,
    redact: Callable[[str], str] = str,
) -> AsyncIterator[Telemetry]:
    """Tracing to the OTLP/HTTP collector at base URL `endpoint`; none or empty is off.

    `attributes` are the resource's, beside `service.name`. On leaving, spans not yet sent have `flush_s` to go
    out; those that do not are lost with a warning. Raises SettingsError when `endpoint` is not an HTTP URL.
    """
    if not endpoint:
        yield SilentTelemetry()
        return
    if urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).hostname:
        raise SettingsError([f"OTEL_EXPORTER_OTLP_ENDPOINT={redact(endpoint)!r} is not an http:// or https:// URL"])

    def start() -> "OtlpTelemetry":
        from agent_kit.otlp import OtlpTelemetry  # noqa: PLC0415 - the SDK is paid for only here

        return OtlpTelemetry(endpoint, service=service, attributes=attributes or {}, redact=redact)

    telemetry = await asyncio.to_thread(start)  # the import and the SDK's look at the host take 0.1 s
    try:
        yield telemetry
    finally:
        await telemetry.shut_down(flush_s)
