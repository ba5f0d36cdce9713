"""The AgentTypes of the benchmark, and their children as the operator renders them."""

from typing import Any

from agent_api.agenttype import AgentType
from agent_render import PlatformSettings, render

Document = dict[str, Any]

FULL: Document = {
    "image": "nginx:1.27",
    "ports": [{"name": "http", "containerPort": 8080}],
    "environment": {"files": [{"path": "words.txt", "content": "one two three"}]},
}
BASIC: Document = {"image": "nginx:1.27"}
PLURALS = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
}


def agent_document(number: int, namespace: str, shape: str) -> Document:
    """One AgentType: `full` has five children, `basic` three."""
    metadata = {"name": f"agent-{number:05}", "namespace": namespace}
    spec = {"agent": FULL if shape == "full" else BASIC}
    return {"apiVersion": "agents.example.com/v1", "kind": "AgentType", "metadata": metadata, "spec": spec}


def children(document: Document) -> tuple[Document, ...]:
    """What the operator would apply for it."""
    return render(AgentType.model_validate(document), PlatformSettings())
