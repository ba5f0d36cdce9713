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
TOOL, PROVIDER = "git", "main"
SHAPES: dict[str, Document] = {
    "basic": {"agent": BASIC},
    "full": {"agent": FULL},
    "whole": {
        "agent": FULL,
        "tools": {"required": [TOOL]},
        "memory": {"type": "redis", "size": "64Mi"},
        "llm": {"providers": [{"name": PROVIDER, "type": "mock"}]},
        "scaling": {"minReplicas": 1, "maxReplicas": 3},
        "monitoring": {"enabled": True},
    },
}
PLURALS = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
}


def agent_document(number: int, namespace: str, shape: str) -> Document:
    """One AgentType: `basic` has three children, `full` five; `whole` has every part of a spec, and sidecars."""
    metadata = {"name": f"agent-{number:05}", "namespace": namespace}
    return {"apiVersion": "agents.example.com/v1", "kind": "AgentType", "metadata": metadata, "spec": SHAPES[shape]}


def children(document: Document) -> tuple[Document, ...]:
    """What the operator would apply for it."""
    return render(AgentType.model_validate(document), PlatformSettings())
