"""The operator with the rights that deploy/ gives it, and no more."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.api import Document
from integration.cluster import ROOT, write_kubeconfig
from integration.kubelet import ON_HAND
from integration.namespace import NGINX, Namespace
from integration.operating import Hire
from integration.proxy import Proxy
from integration.waiting import eventually

pytestmark = pytest.mark.step1

RBAC = ROOT / "deploy" / "base" / "rbac"
NAMESPACED = ROOT / "deploy" / "components" / "namespaced" / "watched" / "role.yaml"
ACCOUNT = "agentberth-operator"
GROUP = "/apis/rbac.authorization.k8s.io/v1"


def documents(file: Path) -> list[Document]:
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


async def grant(namespace: Namespace, files: list[Path]) -> list[str]:
    """Grants the roles of `files` to the account in the namespace; paths of what is not in a namespace."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}}
    await namespace.api.create("serviceaccounts", account)
    outside = []
    for document in [found for file in files for found in documents(file)]:
        plural = f"{document['kind'].lower()}s"
        metadata = document["metadata"]
        path = f"{GROUP}/namespaces/{namespace.name}/{plural}"
        if document["kind"].startswith("Cluster"):
            metadata["name"] = f"{metadata['name']}-{namespace.name}"
            path = f"{GROUP}/{plural}"
            outside.append(f"{path}/{metadata['name']}")
        elif "namespace" in metadata:
            metadata["namespace"] = namespace.name
        if document["kind"] == "ClusterRoleBinding":
            document["roleRef"]["name"] += f"-{namespace.name}"
        for subject in document.get("subjects", ()):
            subject["namespace"] = namespace.name
        await namespace.api.call("POST", path, document)
    return outside


async def token(namespace: Namespace) -> str:
    """A token of the account."""
    path = f"/api/v1/namespaces/{namespace.name}/serviceaccounts/{ACCOUNT}/token"
    request: dict[str, Any] = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    found: str = (await namespace.api.call("POST", path, request))["status"]["token"]
    return found


async def exercise(namespace: Namespace, proxy: Proxy) -> None:
    """Everything that an operator does, with nothing of it refused."""
    files = {"files": [{"path": "a", "content": "b"}]}
    agent = {**NGINX, "ports": [{"name": "http", "containerPort": 8080}], "environment": files}
    await namespace.create("all", agent=agent, scaling={"minReplicas": 2, "maxReplicas": 3})
    await namespace.create("job", workload={"kind": "Job"})
    await namespace.create("cron", workload={"kind": "CronJob", "schedule": "0 3 * * *"})
    await namespace.create("stuck", resources=ON_HAND)
    await namespace.create("minded", memory={"size": "16Mi"})
    await namespace.reaches("minded", "Running", ready="True")
    await namespace.reaches("all", "Running")
    await namespace.reaches("job", "Succeeded")
    await namespace.says("cron", "Scheduled")
    await namespace.edit("all", agent={"ports": None, "environment": None}, scaling=None)
    await namespace.edit("job", suspend=True, agent={"image": "nginx:1.28"})
    await namespace.edit("cron", workload={"kind": "Deployment", "schedule": None})
    await namespace.reaches("cron", "Running")

    async def pruned() -> bool:
        kept = {"serviceaccounts": ["all-agent"], "networkpolicies": ["all"], "deployments": ["all"]}
        return await namespace.children("all") == kept

    await eventually(pruned)
    here = f"/namespaces/{namespace.name}/"
    assert [
        each for each in proxy.exchanges if each.status == 403 and (here in each.path or each.method == "GET")
    ] == []
    await namespace.edit("minded", memory=None)

    async def forgotten() -> bool:
        return "statefulsets" not in await namespace.children("minded")

    await eventually(forgotten)
    assert {each.method for each in proxy.exchanges if "/secrets" in each.path} == {"POST"}


async def start(namespace: Namespace, hire: Hire, proxy: Proxy, folder: Path, *, everywhere: bool) -> Any:
    """An operator that is nobody but the account."""
    config = write_kubeconfig(folder / "account.kubeconfig", proxy.url, token=await token(namespace))
    operator = hire(namespace, kubeconfig=config, everywhere=everywhere)
    await operator.ready()
    return operator


async def test_cluster_wide_rights_suffice(own_namespace: Namespace, hire: Hire, proxy: Proxy, tmp_path: Path) -> None:
    names = ("agents.yaml", "coordination.yaml")
    outside = await grant(own_namespace, [RBAC / name for name in names])
    try:
        operator = await start(own_namespace, hire, proxy, tmp_path, everywhere=True)
        await exercise(own_namespace, proxy)
        assert operator.problems() == []
        assert await operator.terminate() == 0
    finally:
        for path in outside:
            await own_namespace.api.call("DELETE", path)


async def test_rights_in_one_namespace_suffice_for_namespaced_mode(
    own_namespace: Namespace, hire: Hire, proxy: Proxy, tmp_path: Path
) -> None:
    outside = await grant(own_namespace, [NAMESPACED, RBAC / "coordination.yaml"])
    assert outside == []
    operator = await start(own_namespace, hire, proxy, tmp_path, everywhere=False)

    await exercise(own_namespace, proxy)

    assert operator.problems() == []
    assert "is forbidden" not in operator.text
    assert {each.path.split("/namespaces/")[1].split("/")[0] for each in proxy.exchanges} == {own_namespace.name}


async def test_missing_right_is_named_in_the_status(
    own_namespace: Namespace, hire: Hire, proxy: Proxy, tmp_path: Path
) -> None:
    found = documents(NAMESPACED)
    for rule in found[0]["rules"]:
        if "deployments" in rule["resources"]:
            rule["verbs"] = ["list", "watch"]
    crippled = tmp_path / "role.yaml"
    crippled.write_text(yaml.safe_dump_all(found))
    await grant(own_namespace, [crippled, RBAC / "coordination.yaml"])
    await start(own_namespace, hire, proxy, tmp_path, everywhere=False)

    await own_namespace.create("hindered")

    agent = await own_namespace.says("hindered", "Forbidden")
    assert "Deployment hindered" in agent["status"]["message"]
    assert 'cannot create resource "deployments"' in agent["status"]["message"]


async def test_other_namespaces_are_left_alone(own_namespace: Namespace, namespace: Namespace, hire: Hire) -> None:
    """Two operators side by side, each with a namespace of its own."""
    operator = hire(own_namespace, "--leader-election=false")
    await operator.ready()
    await namespace.create("theirs")
    await own_namespace.create("ours")

    await own_namespace.reaches("ours", "Running")
    await namespace.reaches("theirs", "Running")

    assert await operator.metric("kube_cached_objects", resource="agenttypes.agents.example.com") == 1
