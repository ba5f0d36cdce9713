"""The plan's step 1 with real Pods: creation, deletion, invalid configuration."""

import pytest
from e2e.agents import unprivileged_nginx
from e2e.kubectl import Document, KubectlError
from e2e.namespace import Namespace
from e2e.place import Site
from e2e.waiting import eventually

pytestmark = pytest.mark.step1

RESTRICTED = {"profile": "restricted"}
LABELS = {
    "agents.example.com/agent": "basic-agent",
    "app.kubernetes.io/component": "agent",
    "app.kubernetes.io/instance": "basic-agent",
    "app.kubernetes.io/managed-by": "agentberth",
    "app.kubernetes.io/name": "agent",
    "app.kubernetes.io/part-of": "agentberth",
}


def holds_labels(found: Document) -> bool:
    labels: dict[str, str] = found["metadata"]["labels"]
    return LABELS.items() <= labels.items()


def test_should_create_a_basic_agent_pod(baseline: Namespace, site: Site) -> None:
    agent = baseline.create("basic-agent", {"image": site.images.nginx, "name": "web-agent"})

    status = agent.wait_phase("Running")

    pod = agent.pod()
    assert pod["status"]["phase"] == "Running"
    assert [container["name"] for container in pod["spec"]["containers"]] == ["web-agent"]
    assert [container["ready"] for container in pod["status"]["containerStatuses"]] == [True]
    assert holds_labels(pod)
    assert status["readyReplicas"] == 1
    assert agent.condition("SecurityPosture")["reason"] == "Weakened"
    address = f"/api/v1/namespaces/{baseline.name}/pods/{pod['metadata']['name']}:80/proxy/"
    assert "nginx" in site.kubectl.raw(address)


def test_should_create_a_basic_agent_pod_in_a_restricted_namespace(restricted: Namespace, site: Site) -> None:
    agent = restricted.create("basic-agent", unprivileged_nginx(site.images), security=RESTRICTED)

    agent.wait_phase("Running")

    assert holds_labels(agent.pod())
    assert agent.condition("SecurityPosture") == {}
    address = f"/api/v1/namespaces/{restricted.name}/services/basic-agent:http/proxy/"
    assert site.kubectl.raw(address) == "berthed\n"


def test_a_restricted_namespace_refuses_a_plain_image_and_the_status_says_so(restricted: Namespace, site: Site) -> None:
    agent = restricted.create("basic-agent", {"image": site.images.nginx})

    refused = agent.wait_condition("Ready", "False", "Forbidden")

    assert "violates PodSecurity" in refused["message"]
    assert "runAsNonRoot" in refused["message"]
    assert agent.pods() == []


def test_should_clean_up_resources_when_agent_is_deleted(restricted: Namespace, site: Site) -> None:
    eventually(lambda: "ServiceAccount/default" in restricted.contents(), what="the namespace's own account")
    before = restricted.contents()
    agent = restricted.create("basic-agent", unprivileged_nginx(site.images), security=RESTRICTED)
    agent.wait_phase("Running")
    made = {name.partition("/")[0] for name in restricted.contents() - before}
    assert made == {
        "AgentType", "ConfigMap", "Deployment", "EndpointSlice", "NetworkPolicy", "Pod", "ReplicaSet", "Service",
        "ServiceAccount",
    }  # fmt: skip

    agent.delete()

    eventually(
        lambda: restricted.contents() == before,
        what="nothing is left",
        explain=lambda: str(restricted.contents() - before),
    )


def test_should_handle_missing_image_properly(baseline: Namespace) -> None:
    with pytest.raises(KubectlError, match="an image is needed: set"):
        baseline.create("no-image", {"name": "web-agent"})

    assert baseline.kubectl.list("agenttypes,deployments,pods", baseline.name) == []


def test_an_image_that_cannot_be_pulled_is_named(baseline: Namespace) -> None:
    agent = baseline.create("wrong-image", {"image": "localhost/no-such-image:1"})

    failed = agent.wait_condition("Ready", "False", "ImagePullFailed")

    assert "localhost/no-such-image:1" in failed["message"]
    assert agent.status()["phase"] == "Pending"
