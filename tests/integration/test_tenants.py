"""What a tenant puts beside its agents: Pods, Secrets and reports of any number and size harm nobody else."""

import asyncio
import base64
import os
import time
from pathlib import Path

import pytest
from integration.api import AGENTS, Document
from integration.cluster import Cluster
from integration.conftest import open_namespace
from integration.namespace import Namespace, agent_document
from integration.operating import Hire
from integration.waiting import eventually

pytestmark = pytest.mark.step5

WHOLE = os.environ.get("AGENTBERTH_WHOLE") == "1"
FOREIGN = 5000 if WHOLE else 120
LARGEST = 250_000
"""Bytes of annotations: the API server takes 256 KiB of them."""
GROWTH_MIB = 150
FIRST_STATUS_S = 2.0 if WHOLE else 15.0
"""A machine that runs other tests too is slower than the operator is."""


def foreign_pod(number: int) -> Document:
    """A Pod that nothing made, which looks like one of the agent `victim`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"foreign-{number}",
            "labels": {
                "agents.example.com/agent": "victim",
                "app.kubernetes.io/managed-by": "agentberth",
                "app.kubernetes.io/component": "agent",
            },
            "annotations": {"filling": "x" * LARGEST},
        },
        "spec": {"nodeName": "nowhere", "containers": [{"name": "a", "image": "nginx:1.27"}]},
    }


def resident_mib(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) >> 10


async def fill(namespace: Namespace, numbers: range) -> None:
    for number in numbers:
        await namespace.api.create("pods", foreign_pod(number))


@pytest.mark.timeout(1800 if WHOLE else 300)
async def test_foreign_pods_cost_the_operator_nothing(own_namespace: Namespace, hire: Hire, cluster: Cluster) -> None:
    operator = hire(own_namespace, "--leader-election=false", everywhere=True)
    await operator.ready()
    await own_namespace.create("victim")
    await own_namespace.reaches("victim", "Running", ready="True")
    before = resident_mib(operator.pid)

    share = FOREIGN // 8
    await asyncio.gather(*(fill(own_namespace, range(start, start + share)) for start in range(0, FOREIGN, share)))
    operator.kill()  # all of them at once, as the pages of a list
    operator.start()
    await operator.ready(within_s=120)
    async with open_namespace(cluster, f"{own_namespace.name}-other") as other:
        started = time.monotonic()
        await other.api.create(AGENTS, agent_document("bystander"))

        async def told() -> bool:
            return bool((await other.agent("bystander")).get("status"))

        await eventually(told)
        took_s = time.monotonic() - started
        await other.reaches("bystander", "Running", ready="True")
    after = resident_mib(operator.pid)

    assert took_s < FIRST_STATUS_S
    assert after - before < GROWTH_MIB, f"{before} MiB before, {after} MiB after"
    assert await operator.metric("kube_cached_objects", resource="pods") < FOREIGN
    agent = await own_namespace.reaches("victim", "Running", ready="True")
    assert agent["status"]["replicas"] == 1
    assert operator.problems() == []


async def test_somebodys_own_secret_is_no_memorys_password(own_namespace: Namespace, hire: Hire) -> None:
    operator = hire(own_namespace, "--leader-election=false")
    await operator.ready()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "minded-memory"}}
    await own_namespace.api.create("secrets", {**secret, "data": {"password": base64.b64encode(b"known").decode()}})

    await own_namespace.create("minded", memory={"size": "16Mi"})

    agent = await own_namespace.says("minded", "NameConflict")
    assert "minded-memory" in agent["status"]["message"]
    assert "statefulsets" not in await own_namespace.children("minded")
    operator.kill()
    operator.start()
    await operator.ready()
    await own_namespace.edit("minded", agent={"image": "nginx:1.28"})
    await own_namespace.says("minded", "NameConflict")
    assert "statefulsets" not in await own_namespace.children("minded")

    await own_namespace.api.delete("secrets", "minded-memory")

    await own_namespace.reaches("minded", "Running", ready="True", within_s=90)
    kept = await own_namespace.api.get("secrets", "minded-memory")
    assert kept["metadata"]["ownerReferences"][0]["name"] == "minded"


NAMES: dict[str, Document] = {
    "serviceaccounts": {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "taken-agent"}},
    "configmaps": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "taken-berth"}},
    "networkpolicies": {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "taken"},
        "spec": {"podSelector": {}},
    },
    "services": {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "taken"},
        "spec": {"ports": [{"port": 80}]},
    },
    "horizontalpodautoscalers": {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "taken"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "elsewhere"},
            "maxReplicas": 3,
        },
    },
}
FULL: Document = {
    "agent": {
        "image": "nginx:1.27",
        "ports": [{"name": "http", "containerPort": 8080}],
        "environment": {"files": [{"path": "a", "content": "b"}]},
    },
    "scaling": {"minReplicas": 1, "maxReplicas": 2},
}


@pytest.mark.parametrize("plural", NAMES)
async def test_the_name_of_a_child_that_somebody_else_has_taken_is_left_to_them(
    namespace: Namespace, plural: str
) -> None:
    document = NAMES[plural]
    taken = await namespace.api.create(plural, document)

    await namespace.create("taken", **FULL)

    agent = await namespace.says("taken", "NameConflict", within_s=90)
    assert f"{document['kind']} {document['metadata']['name']}" in agent["status"]["message"]
    now = await namespace.api.get(plural, document["metadata"]["name"])
    assert (now.get("spec"), now.get("data"), now["metadata"].get("ownerReferences")) == (
        taken.get("spec"),
        taken.get("data"),
        None,
    )
    if plural in {"serviceaccounts", "configmaps", "networkpolicies"}:  # parts of the fence
        assert await namespace.pods("taken") == []
