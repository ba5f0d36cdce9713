"""The way back to a spec that worked, by the command line and the revisions that the operator keeps."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from integration.api import Document
from integration.cluster import Cluster
from integration.kubelet import ON_HAND
from integration.namespace import NGINX, Namespace, condition
from integration.waiting import eventually

pytestmark = pytest.mark.step5

AGENTBERTH = Path(sys.executable).with_name("agentberth")


class Rollback:
    """`agentberth rollback` in a namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "NO_COLOR": "1"}
        self._namespace = namespace

    def __call__(self, *words: str, code: int = 0) -> str:
        command = [str(AGENTBERTH), "rollback", *words, "--namespace", self._namespace]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def listed(self, name: str) -> list[Document]:
        found: list[Document] = json.loads(self(name, "--list", "--output", "json"))
        return found


@pytest.fixture
def rollback(cluster: Cluster, namespace: Namespace) -> Rollback:
    return Rollback(cluster, namespace.name)


def agent_with(value: str, **more: Any) -> Document:
    return {**NGINX, "environment": {"variables": [{"name": "WORD", "value": value}]}, **more}


async def kept(namespace: Namespace, rollback: Rollback, name: str, numbers: list[int]) -> None:
    """Returns once the revisions are those."""

    async def look() -> bool:
        return [each["revision"] for each in rollback.listed(name)] == numbers

    await namespace.reaches(name, "Running", ready="True")
    await eventually(look)


async def test_the_last_spec_that_worked_is_one_command_away(namespace: Namespace, rollback: Rollback) -> None:
    await namespace.create("writer", agent=agent_with("one"), replicas=1)
    await kept(namespace, rollback, "writer", [1])
    assert "no other revision" in rollback("writer", code=1)
    await namespace.edit("writer", agent=agent_with("two"))
    await kept(namespace, rollback, "writer", [2, 1])
    await namespace.edit("writer", agent=agent_with("three"), resources=ON_HAND, replicas=2)

    async def broken() -> bool:
        agent = await namespace.agent("writer")
        seen = agent["status"]["observedGeneration"] == agent["metadata"]["generation"]
        return bool(seen and condition(agent, "Ready")["status"] == "False")

    await eventually(broken)
    assert "would return to revision 2: agent.environment.variables, resources" in rollback("writer", "--dry-run")
    assert "returned to revision 2" in rollback("writer")

    spec = (await namespace.agent("writer"))["spec"]
    assert spec["agent"]["environment"]["variables"][0]["value"] == "two"
    assert "resources" not in spec
    assert spec["replicas"] == 2  # no part of a revision
    await kept(namespace, rollback, "writer", [2, 1])
    assert "differs in agent.environment.variables" in rollback("writer", "--list")

    rollback("writer", "--to", "1")

    await kept(namespace, rollback, "writer", [3, 2])  # the same spec is not kept twice
    pod = (await namespace.pods("writer"))[0]
    assert {"name": "WORD", "value": "one"} in pod["spec"]["containers"][0]["env"]
    assert "has no revision 1" in rollback("writer", "--to", "1", code=1)
    assert "is at revision 3 already" in rollback("writer", "--to", "3")
    assert condition(await namespace.agent("writer"), "Ready")["status"] == "True"


async def test_the_newest_ten_stay_and_go_with_the_agent(namespace: Namespace, rollback: Rollback) -> None:
    await namespace.create("often", agent=agent_with("0"), workload={"kind": "CronJob", "schedule": "1 1 1 1 *"})
    for number in range(1, 13):
        await namespace.says("often", "Scheduled")

        async def written(number: int = number) -> bool:
            return bool(rollback.listed("often")[0]["revision"] == number)

        await eventually(written)
        await namespace.edit("often", agent=agent_with(str(number)))

    async def bounded() -> bool:
        return [each["revision"] for each in rollback.listed("often")] == list(range(13, 3, -1))

    await eventually(bounded)
    await namespace.api.delete("agenttypes", "often")
    path = f"/apis/apps/v1/namespaces/{namespace.name}/controllerrevisions"

    async def gone() -> bool:
        return not (await namespace.api.call("GET", path))["items"]

    await eventually(gone)
