"""A call's place in its trace: from `_meta`, as MCP has it, else from an instrumented client's HTTP headers."""

from collections.abc import Iterable, Mapping

from agent_kit.telemetry import Telemetry
from agent_toolproxy.call import Json


def adopt_trace(messages: Iterable[Json], headers: Mapping[str, str]) -> None:
    """Put the W3C headers into the `_meta` of tool calls that have no `traceparent` of their own."""
    given = Telemetry.extract(headers)
    for message in messages if given else ():
        params = message.get("params")
        if message.get("method") == "tools/call" and isinstance(params, dict):
            meta = params.setdefault("_meta", {})
            if isinstance(meta, dict) and "traceparent" not in meta:
                meta.update(given)
