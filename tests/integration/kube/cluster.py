"""The real cluster of these tests, and the kinds that they use in it."""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent_operator.kube import Client, KubeError, Resource

ROOT = Path(__file__).parents[3]

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)

CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


@dataclass(frozen=True)
class Cluster:
    """`home` is None for a cluster that is not ours to disturb."""

    kubeconfig: Path
    home: Path | None

    def command(self, *arguments: str) -> None:
        assert self.home is not None
        subprocess.run([ROOT / "hack/testcluster/cluster", *arguments, "--home", self.home], check=True, timeout=60)


async def eventually(attempt: Callable[[], Awaitable[Any]], timeout_s: float = 30.0) -> Any:
    """The first truthy answer; errors of the API count as not yet."""
    deadline = time.monotonic() + timeout_s
    while True:
        problem = "not so"
        try:
            if answer := await attempt():
                return answer
        except KubeError as error:
            problem = str(error)
        assert time.monotonic() < deadline, f"after {timeout_s} s still: {problem}"
        await asyncio.sleep(0.05)


async def list_names(client: Client, resource: Resource, namespace: str) -> list[str]:
    raw = await client.list_page(resource, namespace, {}, accept="application/json")
    return sorted(item["metadata"]["name"] for item in msgspec.json.decode(raw)["items"])
