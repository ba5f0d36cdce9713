"""What the API server will not take: no Pod without its fence, and every refusal is in the status."""

import asyncio

import pytest
from aiohttp import web
from integration.api import Document
from integration.kubelet import ON_HAND
from integration.namespace import NGINX, Namespace, condition
from integration.operating import Hire
from integration.proxy import Fault, Proxy
from integration.waiting import eventually, throughout

pytestmark = pytest.mark.step5

WEBHOOK = 'Internal error occurred: failed calling webhook "guard.example.com": connection refused'
FILES = {**NGINX, "environment": {"files": [{"path": "a", "content": "b"}]}}


def fails(plural: str, *, methods: frozenset[str] = frozenset({"POST", "PATCH"})) -> Fault:
    """As the API server answers while an admission webhook for this kind is down."""

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if request.method not in methods or f"/{plural}" not in request.path:
            return None
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500, "message": WEBHOOK}
        return web.json_response(status, status=500)

    return fault


async def has_no_pods(namespace: Namespace, name: str) -> None:
    assert "deployments" not in await namespace.children(name)
    assert await namespace.pods(name) == []


async def test_no_pod_starts_while_a_quota_keeps_its_policy_out(namespace: Namespace) -> None:
    hard = {"count/networkpolicies.networking.k8s.io": "0"}
    document = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight"}, "spec": {"hard": hard}}
    await namespace.api.create("resourcequotas", document)

    async def enforced() -> bool:
        return bool((await namespace.api.get("resourcequotas", "tight")).get("status", {}).get("hard"))

    await eventually(enforced)
    await namespace.create("naked")

    agent = await namespace.says("naked", "QuotaExceeded")
    assert "NetworkPolicy naked" in agent["status"]["message"]
    await throughout(lambda: has_no_pods(namespace, "naked"), for_s=1.0)

    await namespace.api.delete("resourcequotas", "tight")
    await namespace.edit("naked", agent={"image": "nginx:1.28"})
    await namespace.reaches("naked", "Running", ready="True")


async def test_no_pod_starts_while_another_agents_memory_has_the_name_of_its_policy(namespace: Namespace) -> None:
    await namespace.create("twin", memory={"type": "redis"})
    await namespace.finds("networkpolicies", "twin-memory")

    await namespace.create("twin-memory")

    agent = await namespace.says("twin-memory", "NameConflict")
    assert "NetworkPolicy twin-memory" in agent["status"]["message"]
    assert await namespace.pods("twin-memory") == []


@pytest.mark.parametrize("plural", ["networkpolicies", "serviceaccounts", "configmaps"])
async def test_a_webhook_that_is_down_is_told_and_starts_nothing(
    own_namespace: Namespace, hire: Hire, proxy: Proxy, plural: str
) -> None:
    proxy.fault = fails(plural)
    operator = hire(own_namespace, "--leader-election=false", proxy=proxy)
    await operator.ready()
    await own_namespace.create("waits", agent=FILES)

    agent = await own_namespace.says("waits", "NotReady", within_s=15)
    assert "failed calling webhook" in agent["status"]["message"]
    assert condition(agent, "Ready")["status"] == "False"
    await has_no_pods(own_namespace, "waits")

    async def warned() -> bool:
        return any(e["type"] == "Warning" and e["reason"] == "NotReady" for e in await own_namespace.events("waits"))

    await eventually(warned)
    proxy.fault = None
    await own_namespace.reaches("waits", "Running", ready="True")


async def test_an_edit_that_meets_a_webhook_that_is_down_is_not_called_ready(
    own_namespace: Namespace, hire: Hire, proxy: Proxy
) -> None:
    operator = hire(own_namespace, "--leader-election=false", proxy=proxy)
    await operator.ready()
    await own_namespace.create("steady", agent=FILES)
    before = await own_namespace.reaches("steady", "Running", ready="True")
    proxy.fault = fails("deployments")

    await own_namespace.edit("steady", agent={"image": "nginx:1.28"})

    async def told() -> Document:
        found = await own_namespace.agent("steady")
        ready = condition(found, "Ready")
        assert ready["observedGeneration"] == found["metadata"]["generation"] > before["metadata"]["generation"]
        assert ready["status"] == "False"
        return found

    found = await eventually(told, within_s=15)
    assert "Deployment steady" in found["status"]["message"]
    assert found["status"]["phase"] == "Running", "the Pods of the edit before still run"


async def test_a_delete_that_fails_is_told(own_namespace: Namespace, hire: Hire, proxy: Proxy) -> None:
    operator = hire(own_namespace, "--leader-election=false", proxy=proxy)
    await operator.ready()
    ports = [{"name": "http", "containerPort": 8080}]
    await own_namespace.create("trimmed", agent={**NGINX, "ports": ports})
    await own_namespace.reaches("trimmed", "Running", ready="True")
    proxy.fault = fails("services", methods=frozenset({"DELETE"}))

    await own_namespace.edit("trimmed", agent={"ports": None})

    agent = await own_namespace.says("trimmed", "NotReady", within_s=15)
    assert agent["status"]["observedGeneration"] == agent["metadata"]["generation"]
    proxy.fault = None
    await own_namespace.reaches("trimmed", "Running", ready="True")
    assert "services" not in await own_namespace.children("trimmed")


async def test_a_paused_rollout_is_told(namespace: Namespace) -> None:
    await namespace.create("paused")
    await namespace.reaches("paused", "Running", ready="True")
    await namespace.api.patch("deployments", "paused", {"spec": {"paused": True}})

    await namespace.edit("paused", agent={"image": "nginx:1.28"})

    agent = await namespace.says("paused", "RolloutPaused")
    assert "Deployment paused" in agent["status"]["message"]
    await namespace.api.patch("deployments", "paused", {"spec": {"paused": None}})
    await namespace.reaches("paused", "Running", ready="True")


async def test_plain_pods_with_an_agents_labels_are_not_its_pods(namespace: Namespace) -> None:
    await namespace.create("honest")
    (real,) = await namespace.has_pods("honest")
    labels = {name: value for name, value in real["metadata"]["labels"].items() if name != "pod-template-hash"}
    spec = {"containers": [{"name": "agent", "image": "nginx:1.27"}], "nodeSelector": {"nowhere": "yes"}}
    forged = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "forged", "labels": labels}, "spec": spec}
    await namespace.api.create("pods", forged)

    await namespace.reaches("honest", "Running", ready="True")
    await asyncio.sleep(0.5)
    assert (await namespace.agent("honest"))["status"]["reason"] == "Ready"


async def test_a_job_whose_policy_is_refused_at_first_runs_afterwards(
    own_namespace: Namespace, hire: Hire, proxy: Proxy
) -> None:
    proxy.fault = fails("networkpolicies")
    operator = hire(own_namespace, "--leader-election=false", proxy=proxy)
    await operator.ready()
    await own_namespace.create("patient", agent=FILES, workload={"kind": "Job", "backoffLimit": 0})
    agent = await own_namespace.says("patient", "NotReady", within_s=15)
    assert "startedJob" not in agent["status"]
    assert await own_namespace.api.list("jobs") == []

    proxy.fault = None

    await own_namespace.reaches("patient", "Succeeded", ready="True")


async def test_a_running_job_is_suspended_while_a_part_of_its_fence_is_refused(
    own_namespace: Namespace, hire: Hire, proxy: Proxy
) -> None:
    operator = hire(own_namespace, "--leader-election=false", proxy=proxy)
    await operator.ready()
    await own_namespace.create("runs", agent=FILES, workload={"kind": "Job", "backoffLimit": 0}, resources=ON_HAND)
    await own_namespace.has_pods("runs")
    proxy.fault = fails("networkpolicies")
    await own_namespace.api.delete("networkpolicies", "runs")

    await own_namespace.edit("runs", suspend=True)

    await own_namespace.has_pods("runs", 0)


async def test_a_job_that_is_deleted_while_it_runs_is_not_run_again(namespace: Namespace) -> None:
    await namespace.create("once", workload={"kind": "Job", "backoffLimit": 0}, resources=ON_HAND)
    await namespace.has_pods("once")
    (job,) = await namespace.api.list("jobs")

    await namespace.api.delete("jobs", job["metadata"]["name"])

    agent = await namespace.says("once", "RunLost")
    assert agent["status"]["startedJob"] == job["metadata"]["name"]
    assert await namespace.api.list("jobs") == []
    await namespace.edit("once", agent={"image": "nginx:1.28"})
    await namespace.has_pods("once")


async def test_a_job_that_ends_and_may_be_cleaned_away_at_once_runs_once(own_namespace: Namespace, hire: Hire) -> None:
    operator = hire(own_namespace, "--leader-election=false", "--resync-s", "1")
    await own_namespace.create("brief", workload={"kind": "Job", "ttlSecondsAfterFinished": 0})
    for _ in range(4):  # it is killed at other moments of the run each time
        await asyncio.sleep(0.3)
        operator.kill()
        operator.start()
        await operator.ready()
    await own_namespace.reaches("brief", "Succeeded", ready="True")

    async def cleaned() -> bool:
        return await own_namespace.api.list("jobs") == []

    await eventually(cleaned)
    created = len([e for e in await own_namespace.api.list("events") if e["reason"] == "SuccessfulCreate"])
    assert created <= 1
