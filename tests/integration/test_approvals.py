"""Calls that wait for a person: the real proxy, the operator and the API server; the test plays kubelet and person."""

import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import aiohttp
import pytest
from integration.api import Document, RefusedError
from integration.kubelet import ON_HAND, Kubelet, join_node, leave_node
from integration.namespace import Namespace
from integration.operating import Hire
from integration.waiting import eventually

PROGRAM = Path(sys.executable).with_name("agent-toolproxy")
APPROVALS = "toolapprovals"
TOOLS: Document = {
    "required": ["echo"],
    "policy": {
        "rules": [{"tools": ["echo"], "action": "ask", "reason": "it speaks for us"}],
        "approvals": {"waitSeconds": 0},
    },
}
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


async def play(namespace: Namespace, kubelet: Kubelet, address: str, folder: Path) -> PlayedPod:
    pod = (await namespace.has_pods("librarian"))[0]
    name = await kubelet.take(pod)
    played = PlayedPod(namespace, pod, folder, address)
    await played.start()
    await kubelet.report(name, "Running", init={"toolproxy": RUNNING}, main={"agent": RUNNING}, ready=True)
    addresses = {"podIP": address, "podIPs": [{"ip": address}]}
    await namespace.api.patch("pods", name, {"status": addresses}, part="status", manager="kubelet")
    return played


async def one_approval(namespace: Namespace, *, but: tuple[str, ...] = ()) -> Document:
    async def look() -> Document:
        found = [each for each in await namespace.api.list(APPROVALS) if each["metadata"]["name"] not in but]
        assert len(found) == 1, [each["spec"] for each in found]
        return found[0]

    return await eventually(look)


async def decide(namespace: Namespace, approval: Document, decision: str) -> None:
    await namespace.api.patch(APPROVALS, approval["metadata"]["name"], {"spec": {"decision": decision}})


async def reaches(namespace: Namespace, approval: Document, state: str) -> None:
    async def look() -> bool:
        found = await namespace.api.get(APPROVALS, approval["metadata"]["name"])
        return bool(found.get("status", {}).get("state") == state)

    await eventually(look)


@pytest.mark.timeout(300)
async def test_an_approved_call_is_carried_out_once_over_restarts_of_pod_and_operator(
    own_namespace: Namespace, hire: Hire, tmp_path: Path, loopback: str
) -> None:
    operator = hire(own_namespace, "--leader-election=false")
    kubelet = await join_node(own_namespace.api, f"hand-{own_namespace.name}")
    played: PlayedPod | None = None
    try:
        await own_namespace.create("librarian", tools=TOOLS, resources=ON_HAND)
        played = await play(own_namespace, kubelet, loopback, tmp_path / "pod")
        status, answer = await played.call("hello", "--password=hunter2hunter2")
        assert (status, answer["error"]["code"]) == (409, "approval_pending")
        approval = await one_approval(own_namespace)
        assert approval["spec"]["tool"] == "echo"
        assert "hello" in approval["spec"]["arguments"]

        for change in ({"arguments": "{}"}, {"hash": "0" * 64}, {"expiresAt": "2999-01-01T00:00:00Z"}):
            with pytest.raises(RefusedError, match="what is asked cannot be changed"):
                await own_namespace.api.patch(APPROVALS, approval["metadata"]["name"], {"spec": change})

        played.stop(forget=True)
        operator.kill()
        await decide(own_namespace, approval, "Approve")
        with pytest.raises(RefusedError, match="cannot be taken back"):
            await decide(own_namespace, approval, "Deny")
        hire(own_namespace, "--leader-election=false")
        await played.start()

        result = await played.is_carried_out("hello", "--password=hunter2hunter2")
        assert "hello" in json.dumps(result)
        await reaches(own_namespace, approval, "Granted")
        status, _ = await played.call("hello", "--password=hunter2hunter2")
        assert status == 409, "it was approved once"

        again = await one_approval(own_namespace, but=(approval["metadata"]["name"],))
        await decide(own_namespace, again, "Deny")

        async def is_denied() -> bool:
            assert played is not None
            status, answer = await played.call("hello", "--password=hunter2hunter2")
            assert status in (403, 409)
            return bool(answer["error"]["code"] == "approval_denied")

        await eventually(is_denied)
        status, _ = await played.call("other", "words")
        assert status == 409, "other arguments are another call"
    finally:
        if played is not None:
            played.stop()
        await leave_node(kubelet)
