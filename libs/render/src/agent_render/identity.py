"""Names and labels: deterministic, so that every child is found again without being remembered."""

import hashlib
from dataclasses import dataclass
from typing import Any

from agent_api import layout
from agent_api.agenttype import AgentType

Manifest = dict[str, Any]

MANAGER = "agentberth"
AGENT_LABEL = f"{layout.GROUP}/agent"
COMPONENT_LABEL = "app.kubernetes.io/component"
RETAINED = f"{layout.GROUP}/retained"
"""Annotation of a child that stays when its AgentType goes."""
INIT_HASH = f"{layout.GROUP}/init-hash"


@dataclass(frozen=True)
class Identity:
    """What an agent's objects are called."""

    name: str
    namespace: str

    @classmethod
    def of(cls, agent: AgentType) -> "Identity":
        """The identity of `agent`; without a namespace it is in `default`."""
        return cls(agent.metadata.name, agent.metadata.namespace or "default")

    @property
    def config(self) -> str:
        """Name of the ConfigMap with init.json, tools.json and gateway.json."""
        return f"{self.name}-berth"

    @property
    def tools_lock(self) -> str:
        """Name of the ConfigMap with what the agent's tools are held to; the operator makes it, nothing renders it."""
        return f"{self.name}-tools-lock"

    @property
    def workspace(self) -> str:
        """Name of the workspace's claim."""
        return f"{self.name}-workspace"

    @property
    def account(self) -> str:
        """Name of the ServiceAccount."""
        return f"{self.name}-agent"

    @property
    def memory(self) -> str:
        """Name of the memory's StatefulSet, Service and Secret."""
        return f"{self.name}-memory"

    def selector(self, component: str = "agent") -> dict[str, str]:
        """Labels that pick this agent's Pods. A Deployment's selector is immutable: never change these."""
        return {AGENT_LABEL: self.name, COMPONENT_LABEL: component}

    def labels(self, component: str = "agent") -> dict[str, str]:
        """Labels of every object of this agent."""
        return {
            AGENT_LABEL: self.name,
            COMPONENT_LABEL: component,
            "app.kubernetes.io/instance": self.name,
            "app.kubernetes.io/managed-by": MANAGER,
            "app.kubernetes.io/name": "agent",
            "app.kubernetes.io/part-of": MANAGER,
        }

    def metadata(self, name: str, component: str = "agent") -> Manifest:
        """Metadata of a child."""
        return {"name": name, "namespace": self.namespace, "labels": self.labels(component)}


def fingerprint(text: str) -> str:
    """A short hash of a configuration, for an annotation that rolls Pods."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
