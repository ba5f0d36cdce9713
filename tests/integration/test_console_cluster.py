"""The console of a cluster in a real Chromium, against a real API server with 2,000 agents."""

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import yaml
from contract.console.browser import Page, open_page
from integration.api import MERGE, define_agents, open_api
from integration.cluster import ROOT, Cluster, start_cluster, stop_cluster
from integration.waiting import eventually

from agentberth.console.clustersource import ClusterSource
from agentberth.console.incluster import in_cluster
from agentberth.console.probes import answering_probes
from agentberth.console.server import ConsoleServer, serving

AGENTBERTH = Path(sys.executable).parent / "agentberth"
COUNT = 2000
SYSTEM = "agentberth-system"

UNREADY = "Unschedulable"
HOSTILE = "<script>document.title = 'owned'</script>"


def agent(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "agents.example.com/v1",
        "kind": "AgentType",
        "metadata": {"name": f"agent-{number:04}"},
        "spec": {"agent": {"type": "container", "image": "nginx:1.27"}},
    }


CONDITION = {
    "type": "Ready",
    "status": "False",
    "reason": UNREADY,
    "message": f"0/3 nodes are available {HOSTILE}",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
LIMIT = {"name": "usdPerDay", "limit": 5, "spent": 1.25, "granted": 2, "resetsAt": "2999-01-01T00:00:00Z"}
BUDGET = {"summary": "1.25 of 5.00 USD per day", "limits": [LIMIT]}
STATUS = {
    "phase": "Pending",
    "replicas": 1,
    "readyReplicas": 0,
    "conditions": [CONDITION],
    "llmStatus": {"budget": BUDGET},
}


async def fill(cluster: Cluster, namespace: str) -> None:
    """2,000 agents, sixteen at a time; one in a hundred has a status."""
    gate = asyncio.Semaphore(16)
    async with open_api(cluster.access, namespace) as api:
        await api.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        path = f"/apis/agents.example.com/v1/namespaces/{namespace}/agenttypes"

        async def make(number: int) -> None:
            async with gate:
                await api.call("POST", path, agent(number))
                if number % 100 == 7:
                    name, patch = agent(number)["metadata"]["name"], {"status": STATUS}
                    await api.call("PATCH", f"{path}/{name}/status", patch, media=MERGE)

        async with asyncio.TaskGroup() as tasks:
            for number in range(COUNT):
                tasks.create_task(make(number))


pytestmark = [pytest.mark.timeout(400), pytest.mark.long]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One of its own, with 2,000 agents, which would be work for the operators of other tests."""
    found = start_cluster(tmp_path_factory.mktemp("cluster"))
    try:
        asyncio.run(define_agents(found))
        asyncio.run(fill(found, "it-console"))
        yield found
    finally:
        stop_cluster(found)


@pytest.fixture(scope="module")
def address(cluster: Cluster) -> Iterator[str]:
    """A console of the cluster's administrator."""
    namespace = "it-console"
    command = [str(AGENTBERTH), "console", "--namespace", namespace]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "NO_COLOR": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as console:
        assert console.stderr is not None
        line = console.stderr.readline()
        found = re.search(r"http://\S+", line)
        try:
            assert found, line + console.stderr.read()
            yield found[0]
        finally:
            console.send_signal(signal.SIGTERM)
            assert console.wait(30) == 128 + signal.SIGTERM


@pytest.fixture
async def page(address: str, tmp_path: Path) -> AsyncIterator[Page]:
    async with open_page(tmp_path / "profile") as opened:
        await opened.resize(1280, 900)
        await opened.open(address)
        await opened.see("2,000 of 2,000 agents")
        yield opened
        assert opened.errors == []
        assert "owned" not in await opened.js("document.title")


async def test_two_thousand_agents_are_filtered_at_once(page: Page) -> None:
    took_ms = await page.js(
        "(() => { const box = document.getElementById('filter'); box.value = 'agent-1907';"
        "const began = performance.now(); box.dispatchEvent(new Event('input'));"
        "document.body.offsetHeight; return performance.now() - began; })()"
    )

    said = await page.see("1 of 2,000 agents")

    assert UNREADY in said
    assert HOSTILE in said
    assert "1.25 of 5.00 USD per day" in said
    assert "Try: Lower the requests" in said
    assert took_ms < 2000, "100 ms on an idle machine"


async def test_an_agent_that_is_not_ready_says_why_and_what_to_do(page: Page) -> None:
    await page.js("location.hash = '#/agents/it-console/agent-0007'")

    said = await page.see("Conditions", UNREADY, "Cause:", "Try:", "US dollars per day", "$1.25", "25 %")

    assert HOSTILE in said


def revision(owner: dict[str, Any], number: int, image: str) -> dict[str, Any]:
    """A spec as the operator keeps it."""
    labels = {"agents.example.com/agent": owner["metadata"]["name"], "agents.example.com/revision": str(number)}
    reference = {key: owner[key] for key in ("apiVersion", "kind")} | {
        key: owner["metadata"][key] for key in ("name", "uid")
    }
    return {
        "metadata": {
            "name": f"{owner['metadata']['name']}-{number}",
            "labels": labels,
            "ownerReferences": [reference],
        },
        "revision": number,
        "data": {"spec": {"agent": {"type": "container", "image": image}}},
    }


async def test_two_revisions_of_a_spec_are_compared(page: Page, cluster: Cluster) -> None:
    async with open_api(cluster.access, "it-console") as api:
        owner = await api.call("GET", "/apis/agents.example.com/v1/namespaces/it-console/agenttypes/agent-0042")
        path = "/apis/apps/v1/namespaces/it-console/controllerrevisions"
        for number, image in ((1, f"nginx:1.25{HOSTILE}"), (2, "nginx:1.26"), (3, "nginx:1.27")):
            kept = revision(owner, number, image)
            kept["data"]["spec"] = {**owner["spec"], "agent": {**owner["spec"]["agent"], "image": image}}
            await api.call("POST", path, kept)

    await page.js("location.hash = '#/agents/it-console/agent-0042/revisions'")
    said = await page.see("Revision 3", "the present spec", "nginx:1.26", "nginx:1.27", "agent.image")
    assert HOSTILE not in said

    await page.js("document.querySelector('[data-key=\"compare 1\"]').click()")
    assert "nginx:1.26" not in await page.see(HOSTILE)
    await page.resize(390, 844)
    assert not await page.js("document.documentElement.scrollWidth > innerWidth")


async def test_a_change_is_seen_without_being_asked_for(page: Page, cluster: Cluster) -> None:
    await page.js("location.hash = '#/'")
    async with open_api(cluster.access, "it-console") as api:
        path = "/apis/agents.example.com/v1/namespaces/it-console/agenttypes"
        await api.call("POST", path, {**agent(0), "metadata": {"name": "newcomer"}})
        await page.see("2,001 of 2,001 agents")
        await api.call("DELETE", f"{path}/newcomer")
        await page.see("2,000 of 2,000 agents")


def approval(number: int) -> dict[str, Any]:
    spec = {
        "agent": f"agent-{number:04}",
        "tool": "git",
        "arguments": json.dumps({"args": ["push", HOSTILE]}),
        "reason": "pushes are reviewed",
        "request": f"{number:016x}",
        "hash": f"{number:064x}",
        "askedAt": f"2026-01-01T00:00:{number:02}Z",
        "expiresAt": "2999-01-01T00:00:00Z",
    }
    return {
        "apiVersion": "agents.example.com/v1",
        "kind": "ToolApproval",
        "metadata": {"name": f"agent-{number:04}-{number:016x}"},
        "spec": spec,
    }


DECISIONS = "/apis/agents.example.com/v1/namespaces/it-console/toolapprovals"


async def test_waiting_calls_are_decided_with_the_users_own_rights(page: Page, cluster: Cluster) -> None:
    async with open_api(cluster.access, "it-console") as api:
        names = [(await api.call("POST", DECISIONS, approval(number)))["metadata"]["name"] for number in (1, 2, 3)]
        await page.see("3 waiting")
        await page.js("location.hash = '#/approvals'")
        assert HOSTILE in await page.see("agent-0001 it-console calls git", "agent-0003", "pushes are reviewed")

        await page.js("document.querySelector('[data-key^=\"note it-console/agent-0002\"]').focus()")
        await page.do("Input.insertText", text="wrong branch <b>")
        await page.click("[data-key^='deny it-console/agent-0002']")
        await page.see("2 waiting", "Deny")
        await api.call("PATCH", f"{DECISIONS}/{names[2]}", {"spec": {"decision": "Deny"}}, media=MERGE)
        await page.click("[data-key^='approve it-console/agent-0001']")
        await page.see("No call waits for a person.", "agent-0003")

        decided = [(await api.call("GET", f"{DECISIONS}/{name}"))["spec"] for name in names]
        assert [each["decision"] for each in decided] == ["Approve", "Deny", "Deny"]
        assert decided[1]["note"] == "wrong branch <b>"
        for name in names:
            await api.call("DELETE", f"{DECISIONS}/{name}")


async def test_what_may_not_be_read_is_said(cluster: Cluster, tmp_path: Path) -> None:
    """An account that may list agents and approvals, and nothing else."""
    namespace = "it-console"
    async with open_api(cluster.access, namespace) as api:
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        resources = ["agenttypes", "toolapprovals"]
        rule = {"apiGroups": ["agents.example.com"], "resources": resources, "verbs": ["list", "get", "watch"]}
        await api.call("POST", DECISIONS, approval(4))
        await api.call("POST", f"{rbac}/roles", {"metadata": {"name": "looker"}, "rules": [rule]})
        subject = {"kind": "User", "name": "looker", "apiGroup": "rbac.authorization.k8s.io"}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "looker"}
        await api.call(
            "POST", f"{rbac}/rolebindings", {"metadata": {"name": "looker"}, "roleRef": role, "subjects": [subject]}
        )
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"]["as"] = "looker"
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    command = [str(AGENTBERTH), "console", "--namespace", namespace]
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig"), "NO_COLOR": "1"}
    with subprocess.Popen(  # noqa: ASYNC220 - a test may wait for what it starts
        command, stderr=subprocess.PIPE, text=True, env=environment
    ) as console:
        assert console.stderr is not None
        address = re.findall(r"http://\S+", console.stderr.readline())[0]
        try:
            async with open_page(tmp_path / "profile") as page:
                await page.open(address)
                await page.see("2,000 of 2,000 agents")
                await page.js("location.hash = '#/agents/it-console/agent-0007'")
                await page.see("The Pods may not be read with your rights", "The events may not be read", UNREADY)
                await page.js("location.hash = '#/approvals'")
                await page.see("agent-0004 it-console calls git")
                await page.click("[data-key^='approve ']")
                await page.see("cannot patch resource", "1 waiting")
        finally:
            console.send_signal(signal.SIGTERM)
            console.wait(30)


async def mount_account(cluster: Cluster, folder: Path) -> dict[str, str]:
    """What a kubelet mounts for the console's Pod, in `folder`, and its variables."""
    async with open_api(cluster.access, SYSTEM) as api:
        await api.call("POST", "/api/v1/namespaces", {"metadata": {"name": SYSTEM}})
        for one in yaml.safe_load_all((ROOT / "deploy/components/console/rights.yaml").read_text()):
            core = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts"
            rbac = f"/apis/rbac.authorization.k8s.io/v1/{one['kind'].lower()}s"
            await api.call("POST", core if one["kind"] == "ServiceAccount" else rbac, one)
        path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/agentberth-console/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = (await api.call("POST", path, asked))["status"]["token"]
    (folder / "token").write_text(token)
    found = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = found.get("certificate-authority-data")
    (folder / "ca.crt").write_bytes(
        base64.b64decode(authority) if authority else Path(found["certificate-authority"]).read_bytes()  # noqa: ASYNC240 - a small file of a test
    )
    server = urlsplit(found["server"])
    return {"KUBERNETES_SERVICE_HOST": str(server.hostname), "KUBERNETES_SERVICE_PORT": str(server.port)}


async def test_in_a_pod_it_reads_with_the_rights_of_its_component_and_changes_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    environ = await mount_account(cluster, tmp_path)
    async with in_cluster(environ, account=tmp_path) as api:
        source = ClusterSource(api, "this cluster")
        following = asyncio.create_task(source.follow())
        async with (
            serving(ConsoleServer(source, token="", hosts=frozenset({"console.example.com"}))) as own,
            answering_probes(0, lambda: source.is_listed) as probes,
            aiohttp.ClientSession(trust_env=False) as proxy,
        ):

            async def is_ready() -> bool:
                async with proxy.get(f"http://127.0.0.1:{probes}/readyz") as answer:
                    return answer.status == 200

            await eventually(is_ready)
            await look_through_proxy(proxy, own)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        for method, path in FORBIDDEN:
            async with api.session.request(method, api.base + path, json={}) as answer:
                assert answer.status == 403, (method, path)


async def look_through_proxy(proxy: aiohttp.ClientSession, own: str) -> None:
    """As an authenticating proxy asks, under the name that people know."""
    known = {"Host": "console.example.com"}
    async with proxy.get(f"{own}api/agents", headers=known) as answer:
        assert len((await answer.json())["agents"]) == COUNT
    async with proxy.get(f"{own}api/agents/it-console/agent-0007", headers=known) as answer:
        assert (await answer.json())["notes"] == []
    async with proxy.get(f"{own}api/approvals", headers=known) as answer:
        view = await answer.json()
    assert view["notes"] == []
    assert "read-only" in view["read_only"]
    async with proxy.get(f"{own}api/agents", headers={"Host": "evil.example.com"}) as answer:
        assert answer.status == 421
    path, decision = f"{own}api/approvals/it-console/x", {"hash": "0" * 64, "decision": "Approve"}
    async with proxy.post(path, json=decision, headers={**known, "Origin": "https://console.example.com"}) as answer:
        assert "read-only" in (await answer.json())["error"]


FORBIDDEN = (
    ("GET", "/api/v1/namespaces/it-console/secrets"),
    ("GET", "/api/v1/namespaces/it-console/configmaps"),
    ("POST", "/api/v1/namespaces/it-console/pods"),
    ("POST", "/api/v1/namespaces/it-console/pods/x/exec"),
    ("POST", "/api/v1/namespaces/it-console/pods/x:9801/proxy/budget"),
    ("PATCH", "/apis/agents.example.com/v1/namespaces/it-console/toolapprovals/x"),
    ("PATCH", "/apis/agents.example.com/v1/namespaces/it-console/agenttypes/agent-0001"),
    ("DELETE", "/apis/agents.example.com/v1/namespaces/it-console/agenttypes/agent-0001"),
)
