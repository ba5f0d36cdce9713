"""Step 1: what keeps an agent from running is said, with its cause, and taken back when it is gone."""

from typing import Any

import pytest
from integration.api import Document
from integration.kubelet import ON_HAND, Kubelet, ended, running, waiting
from integration.namespace import NGINX, Namespace, condition
from integration.waiting import eventually

pytestmark = pytest.mark.step1


def quota(limits: dict[str, str]) -> Document:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight"}, "spec": {"hard": limits}}


async def impose(namespace: Namespace, limits: dict[str, str]) -> None:
    """Returns when the quota is enforced."""
    await namespace.api.create("resourcequotas", quota(limits))

    async def enforced() -> bool:
        return bool((await namespace.api.get("resourcequotas", "tight")).get("status", {}).get("hard"))

    await eventually(enforced)


async def test_quota_for_pods(namespace: Namespace) -> None:
    await impose(namespace, {"pods": "0"})
    await namespace.create("unwanted")

    agent = await namespace.says("unwanted", "QuotaExceeded")
    assert "exceeded quota: tight" in agent["status"]["message"]
    assert agent["status"]["phase"] == "Pending"

    await namespace.api.delete("resourcequotas", "tight")
    await namespace.edit("unwanted", agent={"image": "nginx:1.28"})
    await namespace.reaches("unwanted", "Running", ready="True")


async def test_quota_for_a_job(namespace: Namespace) -> None:
    await impose(namespace, {"pods": "0"})
    await namespace.create("unwanted", workload={"kind": "Job"})

    agent = await namespace.says("unwanted", "QuotaExceeded")

    assert "exceeded quota: tight" in agent["status"]["message"]


async def test_quota_for_a_child(namespace: Namespace) -> None:
    await impose(namespace, {"count/deployments.apps": "0"})
    await namespace.create("unwanted")

    agent = await namespace.says("unwanted", "QuotaExceeded")

    assert "Deployment unwanted" in agent["status"]["message"]
    assert "exceeded quota: tight" in agent["status"]["message"]
    assert condition(agent, "Accepted")["status"] == "False"
    assert (await namespace.children("unwanted"))["serviceaccounts"] == ["unwanted-agent"]


async def test_pod_security_admission(namespace: Namespace) -> None:
    change = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    media = "application/merge-patch+json"
    await namespace.api.call("PATCH", f"/api/v1/namespaces/{namespace.name}", change, media=media)
    await namespace.create("careless", security={"profile": "baseline"})
    await namespace.create("careful")

    agent = await namespace.says("careless", "Forbidden")
    assert 'violates PodSecurity "restricted' in agent["status"]["message"]
    posture = condition(agent, "SecurityPosture")
    assert (posture["status"], posture["reason"]) == ("False", "Weakened")

    careful = await namespace.reaches("careful", "Running", ready="True")
    assert condition(careful, "SecurityPosture") == {}


async def test_name_that_somebody_else_has(namespace: Namespace) -> None:
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "twin-berth"}, "data": {"mine": "yes"}}
    await namespace.api.create("configmaps", foreign)
    await namespace.create("twin", agent={**NGINX, "environment": {"files": [{"path": "a", "content": "b"}]}})

    agent = await namespace.says("twin", "NameConflict")

    assert "ConfigMap twin-berth" in agent["status"]["message"]
    assert "rename or delete it" in agent["status"]["message"]
    assert (await namespace.api.get("configmaps", "twin-berth"))["data"] == {"mine": "yes"}


async def test_pod_that_fits_nowhere(namespace: Namespace) -> None:
    await namespace.create("giant", resources=ON_HAND)

    agent = await namespace.says("giant", "Unschedulable")

    assert "Insufficient example.com/hand" in agent["status"]["message"]
    assert agent["status"]["phase"] == "Pending"


async def place(namespace: Namespace, kubelet: Kubelet, name: str, **spec: Any) -> tuple[Document, str]:
    """Creates an agent and places its Pod."""
    await namespace.create(name, resources=ON_HAND, **spec)
    (pod,) = await namespace.has_pods(name)
    return pod, await kubelet.take(pod)


async def test_secret_of_a_variable_is_missing(namespace: Namespace, kubelet: Kubelet) -> None:
    _, pod = await place(namespace, kubelet, "keyless")
    said = 'secret "provider-key" not found'
    await kubelet.report(pod, "Pending", main={"agent": waiting("CreateContainerConfigError", said)})

    agent = await namespace.says("keyless", "SecretMissing")
    assert agent["status"]["message"] == said
    assert agent["status"]["phase"] == "Pending"

    await kubelet.report(pod, "Running", main={"agent": running()}, ready=True)
    await namespace.reaches("keyless", "Running", ready="True")


async def test_secret_of_a_volume_is_missing(namespace: Namespace, kubelet: Kubelet) -> None:
    """Only an event tells: the Pod's status stays as if it was starting."""
    pod, name = await place(namespace, kubelet, "keyless")
    said = 'MountVolume.SetUp failed for volume "git" : secret "git-credentials" not found'
    await kubelet.warn(pod, "FailedMount", said)
    await kubelet.report(name, "Pending", main={"agent": waiting("ContainerCreating")})

    agent = await namespace.says("keyless", "SecretMissing")

    assert agent["status"]["message"] == said


@pytest.mark.parametrize(
    "state, reason, phase, words",
    [
        (waiting("ImagePullBackOff", "Back-off pulling image"), "ImagePullFailed", "Pending", "Back-off pulling image"),
        (waiting("CreateContainerConfigError", 'configmap "words" not found'), "ConfigMapMissing", "Pending", "words"),
        (ended(137, reason="OOMKilled"), "OutOfMemory", "Failed", "raise spec.resources"),
        (ended(2, message="token=hunter2"), "Crashing", "Failed", "ended with exit code 2"),
    ],
    ids=["image", "config-map", "memory", "crash"],
)
async def test_container_that_does_not_run(
    namespace: Namespace, kubelet: Kubelet, state: Document, reason: str, phase: str, words: str
) -> None:
    _, pod = await place(namespace, kubelet, "faulty")
    await kubelet.report(pod, "Running" if "terminated" in state else "Pending", main={"agent": state})

    agent = await namespace.says("faulty", reason)

    assert words in agent["status"]["message"]
    assert agent["status"]["phase"] == phase
    assert "hunter2" not in str(agent["status"])
