"""Fake nodes whose Pods become ready at once: thousands of workloads without running one.

kwok leads every node that carries its annotation, so that a real node beside the fake ones stays the
kubelet's.
"""

from typing import Any

from testcluster.api import ApiClient
from testcluster.build import STAGES_FILE
from testcluster.home import ClusterConfig, Home

from .component import Component
from .control_plane import client_kubeconfig

NODE_ANNOTATION = "kwok.x-k8s.io/node"
LEASE_S = 40
PODS_PER_NODE = "1000"
POD_NETWORK = "10.77.0.0/16"
"""Addresses of fake Pods. Nobody answers there, but who makes them local, in a network of its own."""


def controller(home: Home, config: ClusterConfig) -> Component:
    """kwok, with the stages that were built beside it."""
    return Component(
        "kwok",
        (
            f"{config.programs}/kwok",
            f"--kubeconfig={client_kubeconfig(home, 'kwok')}",
            f"--config={config.programs}/{STAGES_FILE}",
            "--manage-all-nodes=false",
            f"--manage-nodes-with-annotation-selector={NODE_ANNOTATION}=fake",
            f"--node-lease-duration-seconds={LEASE_S}",
            f"--cidr={POD_NETWORK}",
        ),
    )


def fake_node(index: int) -> dict[str, Any]:
    """A large node that exists in the API alone."""
    name = f"fake-{index}"
    room = {"cpu": "256", "memory": "1Ti", "ephemeral-storage": "1Ti", "pods": PODS_PER_NODE}
    labels = {"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": {NODE_ANNOTATION: "fake"}, "labels": labels},
        "status": {"allocatable": room, "capacity": room},
    }


def create_nodes(api: ApiClient, count: int) -> None:
    """Creates `count` fake nodes; kwok makes them ready."""
    for index in range(count):
        api.create("/api/v1/nodes", fake_node(index))


def are_ready(api: ApiClient, count: int) -> bool:
    """Whether every fake node reports Ready."""
    nodes = api.get("/api/v1/nodes?labelSelector=type%3Dkwok") or {"items": []}
    ready = [node for node in nodes["items"] if _is_ready(node)]
    return len(ready) >= count


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)
