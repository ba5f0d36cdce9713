"""The real cluster of these tests, and the kinds that they use in it."""

import asyncio
import subprocess
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from libs.kube.tests.kinds import deployment

from agent_kube import Client, KubeError, ObjectKey, Resource, open_access

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


CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
WIDGETS = Resource("example.com", "v1", "widgets", "Widget")


@dataclass(frozen=True)
class Cluster:
    """`home` is None for a cluster that is not ours to disturb."""

    kubeconfig: Path
    home: Path | None

    def command(self, *arguments: str) -> None:
        assert self.home is not None
        subprocess.run([ROOT / "hack/testcluster/cluster", *arguments, "--home", self.home], check=True, timeout=60)


async def eventually(attempt: Callable[[], Awaitable[Any]], timeout_s: float = 30.0) -> Any:
    """The first truthy answer; errors of the API and failed assertions count as not yet."""
    deadline = time.monotonic() + timeout_s
    while True:
        problem = "not so"
        try:
            if answer := await attempt():
                return answer
        except (KubeError, AssertionError) as error:
            problem = str(error)
        assert time.monotonic() < deadline, f"after {timeout_s} s still: {problem}"
        await asyncio.sleep(0.05)


async def list_names(client: Client, resource: Resource, namespace: str) -> list[str]:
    raw = await client.list_page(resource, namespace, {}, accept="application/json")
    return sorted(item["metadata"]["name"] for item in msgspec.json.decode(raw)["items"])


async def define_widgets(kubeconfig: Path) -> None:
    """Makes the Widget kind, and waits until it is served."""
    async with Client(await open_access({"KUBECONFIG": str(kubeconfig)})) as client:
        await client.apply(CRDS, CRD, field_manager="tests")
        await eventually(lambda: client.list_page(WIDGETS, "default", {}, accept="application/json"))


async def await_collector(kubeconfig: Path) -> None:
    """Waits until the garbage collector knows the Widget kind: one that runs already looks for new kinds every 30 s."""
    async with Client(await open_access({"KUBECONFIG": str(kubeconfig)})) as client:
        name = f"probe-{uuid.uuid4().hex[:8]}"
        metadata: dict[str, Any] = {"name": name, "namespace": "default"}
        owner = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata}
        made = await client.create(WIDGETS, owner)
        references = [{"apiVersion": "example.com/v1", "kind": "Widget", "name": name, "uid": made["metadata"]["uid"]}]
        child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "ownerReferences": references}}
        await client.create(CONFIG_MAPS, child)
        await client.delete(WIDGETS, ObjectKey("default", name))
        await eventually(lambda: _gone(client, name), timeout_s=110)


async def _gone(client: Client, name: str) -> bool:
    return name not in await list_names(client, CONFIG_MAPS, "default")


def real_deployment(name: str, namespace: str, image: str = "nginx:1") -> dict[str, Any]:
    manifest = deployment(name, image=image)
    manifest["metadata"]["namespace"] = namespace
    manifest["spec"]["selector"] = {"matchLabels": {"app": name}}
    manifest["spec"]["template"]["metadata"] = {"labels": {"app": name}}
    ports = [{"containerPort": 80, "name": "http"}]
    manifest["spec"]["template"]["spec"]["containers"][0]["ports"] = ports
    return manifest
