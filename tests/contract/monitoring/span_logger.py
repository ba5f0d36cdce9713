"""A program of the kit that logs in a span: `span_logger.py OTLP-ENDPOINT`. The log is on stdout."""

import asyncio
import logging
import sys

from agent_base.redaction import Redactor
from agent_kit.logs import LogSettings, configure
from agent_kit.otlp import OtlpTelemetry

WHOSE = {"component": "agent-toolproxy", "agent": "pilot", "namespace": "team"}


def main(endpoint: str) -> None:
    configure(LogSettings("info", "json", WHOSE), Redactor())
    log = logging.getLogger("span_logger")
    telemetry = OtlpTelemetry(endpoint, service="pilot-toolproxy", attributes={}, redact=str)
    log.info("no span yet")
    with telemetry.span("tools/call", attributes={"tool": "tide"}):
        log.warning("the tide is out", extra={"tool": "tide"})
    log.error("the tide is late")
    asyncio.run(telemetry.shut_down(10))


main(sys.argv[1])
