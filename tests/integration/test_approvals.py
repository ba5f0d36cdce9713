"""Calls that wait for a person: the real proxy, the operator and the API server; the test plays kubelet and person."""

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml
from integration.api import AGENTS, Api, Document, RefusedError
from integration.cluster import ROOT
from integration.kubelet import ON_HAND, join_node, leave_node
from integration.namespace import Namespace
from integration.operating import Hire, OperatorProcess
from integration.waiting import eventually

from agent_api import layout

PROGRAM = Path(sys.executable).with_name("agent-toolproxy")
APPROVALS = "toolapprovals"
TOOLS: Document = {
    "required": ["echo"],
    "policy": {
        "rules": [{"tools": ["echo"], "action": "ask", "reason": "it speaks for us"}],
        "approvals": {"waitSeconds": 0},
    },
}
PEOPLE = ROOT / "deploy" / "base" / "rbac" / "people.yaml"
RBAC = "rbac.authorization.k8s.io"
RUNNING: Document = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


class PlayedPod:
    """A Pod's tool proxy, with the volumes that a kubelet would mount; its address is one of the loopback's."""

    def __init__(self, namespace: Namespace, pod: Document, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self._namespace, self._pod = namespace, pod
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    async def sync(self) -> None:
        """Write the ConfigMap's keys to where they are mounted, as a kubelet does after each change."""
        volume = next(v["configMap"] for v in self._pod["spec"]["volumes"] if v["name"] == "tools-config")
        data = (await self._namespace.api.get("configmaps", volume["name"]))["data"]
        mounted = self.folder / "etc/agentberth/tools"
        mounted.mkdir(parents=True, exist_ok=True)
        for item in volume["items"]:
            if item["key"] in data:
                temporary = mounted / f".{item['path']}"
                temporary.write_text(data[item["key"]])
                temporary.replace(mounted / item["path"])

    async def start(self) -> None:
        """Start the proxy and wait until it is ready."""
        await self.sync()
        log = self.folder / "log"
        self._launch(log)

        async def look() -> bool:
            for line in log.read_text().splitlines():
                said = json.loads(line)
                if said.get("message") == "serving":
                    self._url = f"http://127.0.0.1:{said['port']}"
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{self.address}:9802/readyz") as answer,
            ):
                return answer.status == 200

        await eventually(look)

    def _launch(self, log: Path) -> None:
        for name in ("tools", "workspace", "tmp"):
            (self.folder / name).mkdir(exist_ok=True)
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [
                    *(PROGRAM, "--root", self.folder, "--port", "0", "--watch-interval-s", "0.1"),
                    *("--ops-host", self.address, "--ops-port", "9802"),
                ],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**self._environment(), "PATH": "/usr/bin:/bin", "TMPDIR": str(self.folder / "tmp")},
                cwd=self.folder,
            )

    def _environment(self) -> dict[str, str]:
        container = next(c for c in self._pod["spec"]["initContainers"] if c["name"] == "toolproxy")
        fields = {
            "metadata.uid": self._pod["metadata"]["uid"],
            "metadata.name": self._pod["metadata"]["name"],
            "metadata.namespace": self._pod["metadata"]["namespace"],
            "status.podIP": self.address,
        }
        found = {}
        for each in container.get("env", ()):
            path = each.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            found[each["name"]] = each.get("value", fields.get(path, ""))
        return found

    def stop(self, *, forget: bool = False) -> None:
        """End the proxy; `forget` takes what a new Pod would not have."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None
        if forget:
            shutil.rmtree(self.folder / "tools")

    async def call(self, *words: str) -> tuple[int, Document]:
        """Call the tool as the agent would."""
        await self.sync()
        mounted = self.folder / "etc/agentberth/tools/token"
        headers = {"Authorization": f"Bearer {mounted.read_text().strip()}"} if mounted.is_file() else {}
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{self._url}/v1/tools/echo:run", json={"arguments": {"args": list(words)}}, headers=headers
            ) as answer,
        ):
            return answer.status, await answer.json()

    async def is_carried_out(self, *words: str) -> Document:
        """The result, once the call is carried out."""

        async def look() -> Document:
            status, answer = await self.call(*words)
            assert status == 200, answer
            return answer

        return await eventually(look)


@pytest.fixture
def loopback() -> str:
    """An address of this process alone, since the port of reports is a fixed one."""
    number = uuid.uuid4().int % 10_000_000
    return f"127.{10 + number % 200}.{number // 200 % 250}.{1 + number // 50_000 % 250}"


@pytest.fixture
def operator(own_namespace: Namespace, hire: Hire) -> OperatorProcess:
    return hire(own_namespace, "--leader-election=false")


@pytest.fixture
async def played(
    own_namespace: Namespace, operator: OperatorProcess, tmp_path: Path, loopback: str
) -> AsyncIterator[PlayedPod]:
    """The Pod of an agent that has to ask before it calls its one tool."""
    del operator
    kubelet = await join_node(own_namespace.api, f"hand-{own_namespace.name}")
    try:
        await own_namespace.create("librarian", tools=TOOLS, resources=ON_HAND)
        (pod,) = await own_namespace.has_pods("librarian")
        name = await kubelet.take(pod)
        found = PlayedPod(own_namespace, pod, tmp_path / "pod", loopback)
        try:
            await found.start()
            await kubelet.report(name, "Running", init={"toolproxy": RUNNING}, main={"agent": RUNNING}, ready=True)
            addresses = {"podIP": loopback, "podIPs": [{"ip": loopback}]}
            await own_namespace.api.patch("pods", name, {"status": addresses}, part="status", manager="kubelet")
            yield found
        finally:
            found.stop()
    finally:
        await leave_node(kubelet)


async def one_approval(namespace: Namespace, *, but: tuple[str, ...] = ()) -> Document:
    async def look() -> Document:
        found = [each for each in await namespace.api.list(APPROVALS) if each["metadata"]["name"] not in but]
        assert len(found) == 1, [each["spec"] for each in found]
        return found[0]

    return await eventually(look)


async def decide(api: Api, approval: Document, decision: str) -> None:
    await api.patch(APPROVALS, approval["metadata"]["name"], {"spec": {"decision": decision}})


async def reaches(namespace: Namespace, approval: Document, state: str) -> None:
    async def look() -> bool:
        found = await namespace.api.get(APPROVALS, approval["metadata"]["name"])
        return bool(found.get("status", {}).get("state") == state)

    await eventually(look)


async def is_denied(played: PlayedPod, *words: str) -> None:
    """Returns once the call, made again and again, is refused for good."""

    async def look() -> bool:
        status, answer = await played.call(*words)
        assert status in (403, 409), answer
        return bool(answer["error"]["code"] == "approval_denied")

    await eventually(look)


async def join(namespace: Namespace, user: str, *roles: str) -> Api:
    """Calls of a user with these roles of deploy/, once the API server knows of them."""
    group = f"/apis/{RBAC}/v1/namespaces/{namespace.name}"
    for document in yaml.safe_load_all(PEOPLE.read_text()):
        name = document["metadata"]["name"]
        if name in roles:
            role = {"metadata": {"name": f"{user}-{name}"}, "rules": document["rules"]}
            await namespace.api.call("POST", f"{group}/roles", role)
            binding = {
                "metadata": {"name": f"{user}-{name}"},
                "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": f"{user}-{name}"},
                "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
            }
            await namespace.api.call("POST", f"{group}/rolebindings", binding)
    api = namespace.api.as_user(user)

    async def is_known() -> bool:
        try:
            return await api.list(APPROVALS) is not None
        except RefusedError:
            return False

    await eventually(is_known)
    return api


@pytest.mark.timeout(300)
async def test_an_approved_call_is_carried_out_once_over_restarts_of_pod_and_operator(
    own_namespace: Namespace, hire: Hire, operator: OperatorProcess, played: PlayedPod
) -> None:
    api = own_namespace.api
    status, answer = await played.call("hello", "--password=hunter2hunter2")
    assert (status, answer["error"]["code"]) == (409, "approval_pending")
    approval = await one_approval(own_namespace)
    assert approval["spec"]["tool"] == "echo"
    assert "hello" in approval["spec"]["arguments"]

    for change in ({"arguments": "{}"}, {"hash": "0" * 64}, {"expiresAt": "2999-01-01T00:00:00Z"}):
        with pytest.raises(RefusedError, match="what is asked cannot be changed"):
            await api.patch(APPROVALS, approval["metadata"]["name"], {"spec": change})

    played.stop(forget=True)
    operator.kill()
    await decide(api, approval, "Approve")
    with pytest.raises(RefusedError, match="cannot be taken back"):
        await decide(api, approval, "Deny")
    hire(own_namespace, "--leader-election=false")
    await played.start()

    result = await played.is_carried_out("hello", "--password=hunter2hunter2")
    assert "hello" in json.dumps(result)
    await reaches(own_namespace, approval, "Granted")
    status, _ = await played.call("hello", "--password=hunter2hunter2")
    assert status == 409, "it was approved once"

    again = await one_approval(own_namespace, but=(approval["metadata"]["name"],))
    await decide(api, again, "Deny")
    await is_denied(played, "hello", "--password=hunter2hunter2")
    status, _ = await played.call("other", "words")
    assert status == 409, "other arguments are another call"


@pytest.mark.timeout(300)
async def test_roles_decide_who_may_approve(own_namespace: Namespace, played: PlayedPod) -> None:
    await played.call("hello")
    approval = await one_approval(own_namespace)
    name = approval["metadata"]["name"]
    author = await join(own_namespace, "author", "agentberth-view", "agentberth-edit")
    reviewer = await join(own_namespace, "reviewer", "agentberth-approve")
    own = {**approval, "metadata": {"name": "own"}, "spec": {**approval["spec"], "decision": "Approve"}}

    assert await author.get(AGENTS, "librarian"), "the author does have rights here"
    for user in (own_namespace.api.as_user("nobody"), author):
        with pytest.raises(RefusedError, match=r"403: .*cannot patch"):
            await decide(user, approval, "Approve")
        with pytest.raises(RefusedError, match=r"403: .*cannot delete"):
            await user.delete(APPROVALS, name)
    for user in (author, reviewer):
        with pytest.raises(RefusedError, match=r"403: .*cannot create"):
            await user.create(APPROVALS, own)
        with pytest.raises(RefusedError, match=r"403: .*cannot patch resource \"toolapprovals/status\""):
            await user.patch(APPROVALS, name, {"status": {"state": "Granted"}}, part="status")
    with pytest.raises(RefusedError, match="403: "):
        await reviewer.get(AGENTS, "librarian")
    status, _ = await played.call("hello")
    assert status == 409, "nobody has decided"

    await decide(reviewer, approval, "Approve")
    await played.is_carried_out("hello")


@pytest.mark.timeout(300)
async def test_what_expires_is_denied_and_an_approval_after_that_is_none(
    own_namespace: Namespace, played: PlayedPod
) -> None:
    await played.call("hello")
    approval = await one_approval(own_namespace)
    metadata = {name: approval["metadata"][name] for name in ("labels", "ownerReferences")}
    spec = {**approval["spec"], "hash": "f" * 64, "request": "0" * 16, "expiresAt": "2026-01-01T00:00:00Z"}
    late = {**approval, "metadata": {"name": "late", **metadata}, "spec": {**spec, "decision": "Approve"}}
    late.pop("status", None)
    await reaches(own_namespace, await own_namespace.api.create(APPROVALS, late), "Expired")

    await own_namespace.edit("librarian", tools={"policy": {"approvals": {"expireSeconds": 10}}})

    async def is_rendered() -> bool:
        maps = [each["data"] for each in await own_namespace.api.list("configmaps")]
        policies = [json.loads(data[layout.TOOLS_KEY])["policy"] for data in maps if layout.TOOLS_KEY in data]
        return [policy["approvalExpirySeconds"] for policy in policies] == [10]

    await eventually(is_rendered)
    played.stop()
    await played.start()
    status, _ = await played.call("hurry")
    assert status == 409
    await is_denied(played, "hurry")
    status, _ = await played.call("hurry")
    assert status == 409, "another call asks anew"
