"""The operator with the rights that deploy/ gives it, and no more."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.api import Document
from integration.cluster import ROOT, write_kubeconfig
from integration.kubelet import ON_HAND
from integration.operating import Hire
from integration.proxy import Proxy
from integration.team import NGINX, Team
from integration.waiting import eventually

pytestmark = pytest.mark.step1

RBAC = ROOT / "deploy" / "base" / "rbac"
NAMESPACED = ROOT / "deploy" / "components" / "namespaced" / "watched" / "role.yaml"
ACCOUNT = "agentberth-operator"
GROUP = "/apis/rbac.authorization.k8s.io/v1"


def documents(file: Path) -> list[Document]:
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


async def grant(team: Team, files: list[Path]) -> list[str]:
    """Grants the roles of `files` to the account in the team's namespace; paths of what is not in a namespace."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}}
    await team.api.create("serviceaccounts", account)
    outside = []
    for document in [found for file in files for found in documents(file)]:
        plural = f"{document['kind'].lower()}s"
        metadata = document["metadata"]
        path = f"{GROUP}/namespaces/{team.namespace}/{plural}"
        if document["kind"].startswith("Cluster"):
            metadata["name"] = f"{metadata['name']}-{team.namespace}"
            path = f"{GROUP}/{plural}"
            outside.append(f"{path}/{metadata['name']}")
        elif "namespace" in metadata:
            metadata["namespace"] = team.namespace
        if document["kind"] == "ClusterRoleBinding":
            document["roleRef"]["name"] += f"-{team.namespace}"
        for subject in document.get("subjects", ()):
            subject["namespace"] = team.namespace
        await team.api.call("POST", path, document)
    return outside


async def token(team: Team) -> str:
    """A token of the account."""
    path = f"/api/v1/namespaces/{team.namespace}/serviceaccounts/{ACCOUNT}/token"
    request: dict[str, Any] = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    found: str = (await team.api.call("POST", path, request))["status"]["token"]
    return found


async def exercise(team: Team, proxy: Proxy) -> None:
    """Everything that an operator does, with nothing of it refused."""
    files = {"files": [{"path": "a", "content": "b"}]}
    agent = {**NGINX, "ports": [{"name": "http", "containerPort": 8080}], "environment": files}
    await team.create("all", agent=agent, scaling={"minReplicas": 2, "maxReplicas": 3})
    await team.create("job", workload={"kind": "Job"})
    await team.create("cron", workload={"kind": "CronJob", "schedule": "0 3 * * *"})
    await team.create("stuck", resources=ON_HAND)
    await team.create("minded", memory={"size": "16Mi"})
    await team.reaches("minded", "Running", ready="True")
    await team.reaches("all", "Running")
    await team.reaches("job", "Succeeded")
    await team.says("cron", "Scheduled")
    await team.edit("all", agent={"ports": None, "environment": None}, scaling=None)
    await team.edit("job", suspend=True, agent={"image": "nginx:1.28"})
    await team.edit("cron", workload={"kind": "Deployment", "schedule": None})
    await team.reaches("cron", "Running")

    async def pruned() -> bool:
        kept = {"serviceaccounts": ["all-agent"], "networkpolicies": ["all"], "deployments": ["all"]}
        return await team.children("all") == kept

    await eventually(pruned)
    here = f"/namespaces/{team.namespace}/"
    assert [
        each for each in proxy.exchanges if each.status == 403 and (here in each.path or each.method == "GET")
    ] == []
    await team.edit("minded", memory=None)

    async def forgotten() -> bool:
        return "statefulsets" not in await team.children("minded")

    await eventually(forgotten)
    assert {each.method for each in proxy.exchanges if "/secrets" in each.path} == {"POST"}


async def start(team: Team, hire: Hire, proxy: Proxy, folder: Path, *, everywhere: bool) -> Any:
    """An operator that is nobody but the account."""
    config = write_kubeconfig(folder / "account.kubeconfig", proxy.url, token=await token(team))
    operator = hire(team, kubeconfig=config, everywhere=everywhere)
    await operator.ready()
    return operator


async def test_cluster_wide_rights_suffice(own_team: Team, hire: Hire, proxy: Proxy, tmp_path: Path) -> None:
    names = ("agents.yaml", "coordination.yaml")
    outside = await grant(own_team, [RBAC / name for name in names])
    try:
        operator = await start(own_team, hire, proxy, tmp_path, everywhere=True)
        await exercise(own_team, proxy)
        assert operator.problems() == []
        assert await operator.terminate() == 0
    finally:
        for path in outside:
            await own_team.api.call("DELETE", path)


async def test_rights_in_one_namespace_suffice_for_namespaced_mode(
    own_team: Team, hire: Hire, proxy: Proxy, tmp_path: Path
) -> None:
    outside = await grant(own_team, [NAMESPACED, RBAC / "coordination.yaml"])
    assert outside == []
    operator = await start(own_team, hire, proxy, tmp_path, everywhere=False)

    await exercise(own_team, proxy)

    assert operator.problems() == []
    assert "is forbidden" not in operator.text
    assert {each.path.split("/namespaces/")[1].split("/")[0] for each in proxy.exchanges} == {own_team.namespace}


async def test_missing_right_is_named_in_the_status(own_team: Team, hire: Hire, proxy: Proxy, tmp_path: Path) -> None:
    found = documents(NAMESPACED)
    for rule in found[0]["rules"]:
        if "deployments" in rule["resources"]:
            rule["verbs"] = ["list", "watch"]
    crippled = tmp_path / "role.yaml"
    crippled.write_text(yaml.safe_dump_all(found))
    await grant(own_team, [crippled, RBAC / "coordination.yaml"])
    await start(own_team, hire, proxy, tmp_path, everywhere=False)

    await own_team.create("hindered")

    agent = await own_team.says("hindered", "Forbidden")
    assert "Deployment hindered" in agent["status"]["message"]
    assert 'cannot create resource "deployments"' in agent["status"]["message"]


async def test_other_namespaces_are_left_alone(own_team: Team, team: Team, hire: Hire) -> None:
    """Two operators side by side, each with a namespace of its own."""
    operator = hire(own_team, "--leader-election=false")
    await operator.ready()
    await team.create("theirs")
    await own_team.create("ours")

    await own_team.reaches("ours", "Running")
    await team.reaches("theirs", "Running")

    assert await operator.metric("kube_cached_objects", resource="agenttypes.agents.example.com") == 1
