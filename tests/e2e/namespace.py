"""A namespace with agents in it, and what a person sees of them."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from e2e.kubectl import Document, Kubectl, KubectlError
from e2e.waiting import eventually

AGENT_LABEL = "agents.example.com/agent"
KINDS = (
    "agenttypes,deployments,statefulsets,replicasets,jobs,cronjobs,pods,services,endpointslices,"
    "configmaps,serviceaccounts,secrets,poddisruptionbudgets,networkpolicies,leases"
)
"""Everything that an agent, or what it makes, could leave behind."""


@dataclass(frozen=True)
class Namespace:
    """One namespace."""

    kubectl: Kubectl
    name: str

    def create(self, name: str, agent: Mapping[str, Any], **spec: Any) -> "Agent":
        """Creates an AgentType. Raises KubectlError with the server's words."""
        document = {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": name, "namespace": self.name},
            "spec": {"agent": agent, **spec},
        }
        self.kubectl.apply(document)
        return Agent(self, name)

    def apply(self, manifest: str) -> "Agent":
        """Applies the text of an AgentType that says no namespace."""
        self.kubectl.run("apply", "-n", self.name, "-f", "-", stdin=manifest)
        return Agent(self, yaml.safe_load(manifest)["metadata"]["name"])

    def config_map(self, name: str, data: Mapping[str, str]) -> None:
        self._make("ConfigMap", name, data=dict(data))

    def secret(self, name: str, data: Mapping[str, str]) -> None:
        self._make("Secret", name, data={key: base64.b64encode(text.encode()).decode() for key, text in data.items()})

    def contents(self) -> set[str]:
        """kind/name of all that is there."""
        return {f"{one['kind']}/{one['metadata']['name']}" for one in self.kubectl.list(KINDS, self.name)}

    def _make(self, kind: str, name: str, **fields: Any) -> None:
        metadata = {"name": name, "namespace": self.name}
        self.kubectl.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields})


@dataclass(frozen=True)
class Agent:
    """One AgentType and its Pods."""

    namespace: Namespace
    name: str

    def document(self) -> Document:
        """The AgentType as it is now."""
        found = self.namespace.kubectl.find("agenttype", self.name, self.namespace.name)
        assert found is not None, f"there is no AgentType {self.name}"
        return found

    def status(self) -> Document:
        """Its status, empty before the operator has seen it."""
        status: Document = self.document().get("status", {})
        return status

    def condition(self, kind: str) -> Document:
        """One condition, empty when it is not there."""
        found = (one for one in self.status().get("conditions", ()) if one["type"] == kind)
        return next(found, {})

    def wait_phase(self, phase: str) -> Document:
        """The status, once it is about the present spec and says `phase`."""

        def look() -> Document | None:
            document = self.document()
            status: Document = document.get("status", {})
            current = status.get("observedGeneration") == document["metadata"]["generation"]
            return status if current and status.get("phase") == phase else None

        return eventually(look, what=f"phase {phase} of {self.name}", explain=self.explain)

    def wait_condition(self, kind: str, status: str, reason: str) -> Document:
        """The condition, once it says so."""

        def look() -> Document | None:
            found = self.condition(kind)
            return found if (found.get("status"), found.get("reason")) == (status, reason) else None

        return eventually(look, what=f"{kind}={status} ({reason}) of {self.name}", explain=self.explain)

    def pods(self) -> list[Document]:
        return self.namespace.kubectl.list("pods", self.namespace.name, f"{AGENT_LABEL}={self.name}")

    def pod(self) -> Document:
        """Its one Pod that is not being deleted."""
        living = [pod for pod in self.pods() if "deletionTimestamp" not in pod["metadata"]]
        assert len(living) == 1, f"{self.name} has {len(living)} Pods"
        return living[0]

    def run(self, *command: str) -> str:
        """The output of a command in the agent container. Raises KubectlError when it fails."""
        pod = self.pod()
        container = pod["spec"]["containers"][0]["name"]
        place = ("-n", self.namespace.name, pod["metadata"]["name"], "-c", container)
        return self.namespace.kubectl.run("exec", *place, "--", *command)

    def log(self, container: str = "agent") -> str:
        """What a container of its Pod has said."""
        name = self.pod()["metadata"]["name"]
        return self.namespace.kubectl.run("logs", "-n", self.namespace.name, name, "-c", container)

    def said(self) -> Document:
        """The first line that an agent of `agents` logs: a JSON document."""
        line = eventually(lambda: self.log().partition("\n")[0], what=f"a line from {self.name}", explain=self.explain)
        document: Document = json.loads(line)
        return document

    def patch(self, change: Mapping[str, Any]) -> None:
        """A merge patch of the AgentType."""
        arguments = ("agenttype", self.name, "-n", self.namespace.name, "--type=merge", "-p", json.dumps(change))
        self.namespace.kubectl.run("patch", *arguments)

    def delete(self) -> None:
        """Deletes the AgentType; what is its own follows in the background."""
        self.namespace.kubectl.run("delete", "agenttype", self.name, "-n", self.namespace.name)

    def explain(self) -> str:
        """All that may tell why a wait was in vain."""
        kubectl, place = self.namespace.kubectl, ("-n", self.namespace.name)
        parts = [
            ("get", "agenttype", self.name, *place, "-o", "jsonpath={.status}"),
            ("get", "pods", *place, "-o", "wide"),
            ("get", "events", *place, "--sort-by=.lastTimestamp"),
            ("logs", *place, "-l", f"{AGENT_LABEL}={self.name}", "--all-containers", "--tail=20"),
            ("logs", "-n", "agentberth-system", "-l", "app.kubernetes.io/name=agentberth-operator", "--tail=30"),
        ]
        return "\n\n".join(f"$ kubectl {' '.join(part)}\n{_try(kubectl, part)}" for part in parts)


def _try(kubectl: Kubectl, arguments: Sequence[str]) -> str:
    try:
        return kubectl.run(*arguments)
    except KubectlError as error:
        return str(error)
