from typing import Any

import pytest

from agent_toolproxy.serving.mcp.tracecontext import adopt_trace

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def call(**params: Any) -> dict[str, Any]:
    return {"method": "tools/call", "params": {"name": "echo", **params}}


def test_a_call_without_a_trace_takes_that_of_its_request() -> None:
    message = call()
    adopt_trace([message], {"Traceparent": PARENT})

    assert message["params"]["_meta"] == {"traceparent": PARENT}


@pytest.mark.parametrize(
    "message,headers",
    [
        (call(_meta={"traceparent": OTHER}), {"traceparent": PARENT}),
        (call(_meta="odd"), {"traceparent": PARENT}),
        (call(), {"traceparent": "garbage"}),
        ({"method": "tools/list", "params": {}}, {"traceparent": PARENT}),
        ({"method": "tools/call"}, {"traceparent": PARENT}),
    ],
)
def test_everything_else_stays_as_it_is(message: dict[str, Any], headers: dict[str, str]) -> None:
    before = repr(message)
    adopt_trace([message], headers)

    assert repr(message) == before
