"""How an agent is watched: a PodMonitor for its sidecars' metrics, and where its traces go.

A PodMonitor is of the Prometheus operator's API, which a cluster may not have: the settings say whether it does.
"""

from collections.abc import Iterator
from typing import Any

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.metrics import kept_metrics
from agent_render.identity import AGENT_LABEL, Identity, Manifest
from agent_render.parts.part import variable
from agent_render.settings import PlatformSettings

API_VERSION = "monitoring.coreos.com/v1"
KIND = "PodMonitor"
PROTOCOL = "http/protobuf"


def pod_monitor(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """The agent's PodMonitor, when it asks for one, has something to scrape, and the cluster has the API."""
    identity, ports = Identity.of(agent), metric_ports(agent)
    if not (wants_metrics(agent) and ports and settings.pod_monitors):
        return ()
    return (
        {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": identity.metadata(identity.name),
            "spec": {
                "selector": {"matchLabels": identity.selector()},
                "podMetricsEndpoints": [_endpoint(agent, port) for port in ports],
            },
        },
    )


def wants_metrics(agent: AgentType) -> bool:
    """Whether the agent's metrics are to be collected."""
    monitoring = agent.spec.monitoring
    return monitoring is not None and monitoring.enabled


def keeps_content(agent: AgentType) -> bool:
    """Whether recorded calls hold what was said."""
    return agent.spec.monitoring is not None and agent.spec.monitoring.content


def metric_ports(agent: AgentType) -> tuple[str, ...]:
    """Names of the Pod's ports that have `/metrics`."""
    sidecars = ((layout.TOOLPROXY, agent.spec.tools), (layout.LLMGATEWAY, agent.spec.llm))
    return tuple(ops_port_name(name) for name, asked in sidecars if asked is not None)


def ops_port_name(container: str) -> str:
    """The name of a sidecar's ops port; Kubernetes allows 15 characters."""
    return f"ops-{container[:10]}"


def trace_endpoint(agent: AgentType, settings: PlatformSettings) -> str:
    """Where the agent's traces go: as it says, else as the platform does; empty for nowhere."""
    monitoring = agent.spec.monitoring
    if monitoring is None:
        return settings.tracing_endpoint
    if not monitoring.enabled:
        return ""
    return monitoring.tracing.endpoint if monitoring.tracing else settings.tracing_endpoint


def trace_variables(agent: AgentType, settings: PlatformSettings, container: str) -> Iterator[Manifest]:
    """OpenTelemetry's own variables for one container; none when tracing is off."""
    endpoint = trace_endpoint(agent, settings)
    if not endpoint:
        return
    identity = Identity.of(agent)
    service = identity.name if container == "agent" else f"{identity.name}-{container}"
    resource = f"k8s.namespace.name={identity.namespace},agentberth.agent={identity.name}"
    yield variable("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    yield variable("OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOL)
    yield variable("OTEL_PROPAGATORS", "tracecontext,baggage")
    yield variable("OTEL_SERVICE_NAME", service)
    yield variable("OTEL_RESOURCE_ATTRIBUTES", resource)


def _endpoint(agent: AgentType, port: str) -> Manifest:
    monitoring = agent.spec.monitoring
    kept = kept_metrics(monitoring.metrics) if monitoring else ()
    keep = {"sourceLabels": ["__name__"], "action": "keep", "regex": "|".join(kept)}
    endpoint: dict[str, Any] = {
        "port": port,
        "path": "/metrics",
        "relabelings": [
            {"sourceLabels": [_meta(f"label_{AGENT_LABEL}")], "targetLabel": "agent", "action": "replace"},
            {"sourceLabels": [_meta("namespace", of="")], "targetLabel": "namespace", "action": "replace"},
        ],
    }
    return {**endpoint, "metricRelabelings": [keep]} if kept else endpoint


def _meta(name: str, of: str = "pod_") -> str:
    """What Prometheus calls a property of a discovered Pod."""
    return "__meta_kubernetes_" + of + "".join(c if c.isalnum() or c == "_" else "_" for c in name)
