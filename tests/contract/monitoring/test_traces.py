"""One request is one trace, from the agent through the sidecars to the provider and the tools."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from contract.llmgateway.harness import Mock, run_gateway, run_mock, wait_until
from contract.monitoring.receiver import Receiver, run_receiver, texts
from contract.toolproxy.toolproxy_harness import ToolProxy
from contract.toolproxy.upstream_server import UpstreamServer
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from agent_api.agenttype import AgentType
from agent_render import PlatformSettings, pod_template

pytestmark = pytest.mark.step5

AGENT = Path(__file__).with_name("agent.py")
PROBE = "#!/usr/bin/env python3\nimport os\nprint(os.environ.get('TRACEPARENT', 'none'))\n"


def spans_of(receiver: Receiver, service: str) -> list[Span]:
    """What a service of the agent has sent; all who sent anything belong to the agent."""
    found: list[Span] = []
    for resource in receiver.spans:
        labels = texts(resource.resource.attributes)
        assert (labels["agentberth.agent"], labels["k8s.namespace.name"]) == ("pilot", "team")
        if labels["service.name"] == service:
            found.extend(span for scope in resource.scope_spans for span in scope.spans)
    return found


def environments(endpoint: str) -> dict[str, dict[str, str]]:
    """The variables that the renderer gives each container of an agent, where they have a value."""
    document = {
        "apiVersion": "agents.example.com/v1",
        "kind": "AgentType",
        "metadata": {"name": "pilot", "namespace": "team"},
        "spec": {
            "agent": {"image": "pilot:1"},
            "tools": {"required": ["probe"]},
            "llm": {"providers": [{"name": "main", "type": "mock"}]},
        },
    }
    pod = pod_template(AgentType.model_validate(document), PlatformSettings(tracing_endpoint=endpoint))["spec"]
    return {
        c["name"]: {e["name"]: e["value"] for e in c["env"] if "value" in e}
        for c in (*pod["initContainers"], *pod["containers"])
    }


def run_agent(rendered: dict[str, str], gateway: str, proxy: str) -> dict[str, Any]:
    """The agent's own words. Its addresses are moved to the ports of this test."""
    moved = {"OPENAI_BASE_URL": f"{gateway}/v1", "TOOL_PROXY_URL": proxy, "MCP_SERVER_URL": f"{proxy}/mcp"}
    assert rendered.keys() >= moved.keys()
    named = {key: value for key, value in rendered.items() if key.startswith(("OTEL_", "AGENT_"))}
    done = subprocess.run(
        [sys.executable, str(AGENT)],
        env={"PATH": os.environ["PATH"], **named, **moved},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def span_of(traceparent: str) -> bytes:
    return bytes.fromhex(traceparent.split("-")[2])


def test_one_request_is_one_trace_to_the_provider_and_to_the_tools(tmp_path: Path) -> None:
    with run_receiver() as receiver, UpstreamServer() as upstream, run_mock(tmp_path / "mock") as mock:
        told = environments(receiver.url)
        said, log = follow_one_request(told, tmp_path, mock, upstream)
        wait_until(lambda: len(spans_of(receiver, "pilot-toolproxy")) >= 3)
    trace_id = bytes.fromhex(said["trace"])
    (root,) = spans_of(receiver, "pilot")
    (model,) = spans_of(receiver, "pilot-llmgateway")
    tools = {span.span_id: span for span in spans_of(receiver, "pilot-toolproxy")}

    named = {span.name: texts(span.attributes).get("mcp.method.name") for span in tools.values()}
    assert {name.split()[0]: method for name, method in named.items()} == {
        "tools/call": "tools/call",
        "execute_tool": None,
    }
    assert {span.trace_id for span in (root, model, *tools.values())} == {trace_id}
    assert {span.parent_span_id for span in (model, *tools.values())} == {root.span_id}
    assert span_of(said["provider"]["traceparent"]) == model.span_id
    to_tools = [said["upstream"], *(printed(said[way]) for way in ("rest", "header"))]
    assert {span_of(each) for each in to_tools} == set(tools)
    traced = [line for line in log if line.get("trace_id") == said["trace"]]
    assert {(line["component"], line["agent"], line["namespace"]) for line in traced} == {
        ("agent-toolproxy", "pilot", "team")
    }


def printed(result: dict[str, Any]) -> str:
    """What the probe found in its environment, by REST or by MCP."""
    text: str = result.get("result", result)["content"][0]["text"]
    return text.strip()


def follow_one_request(
    told: dict[str, dict[str, str]], folder: Path, mock: Mock, upstream: UpstreamServer
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the agent, the provider and the upstream server saw, and the proxy's log. All programs have ended."""
    providers = [{"name": "only", "type": "mock", "baseUrl": mock.url, "model": "mock"}]
    proxy = ToolProxy(folder / "pod")
    proxy.environ = told["toolproxy"]
    proxy.add_program("probe", PROBE)
    proxy.write_config(
        tools=[
            {"name": "probe", "custom": {"name": "probe", "source": "path:probe"}},
            {"name": "up", "custom": {"name": "up", "source": f"mcp+{upstream.url}"}},
        ]
    )
    try:
        proxy.start()
        with run_gateway(folder / "gateway", {"providers": providers}, environ=told["llmgateway"]) as gateway:
            said = run_agent(told["agent"], gateway.url, proxy.url)
    finally:
        proxy.close()
    said["provider"] = mock.journal()[-1]["headers"]
    said["upstream"] = upstream.behaviour.calls[-1]["_meta"]["traceparent"]
    return said, proxy.log_lines()
