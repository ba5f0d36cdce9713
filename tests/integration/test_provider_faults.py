"""A provider that refuses its key to everything: the agent says so within seconds, and so does `diagnose`."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from contract.llmgateway.harness import Mock, run_mock
from integration.api import Document
from integration.cluster import Cluster
from integration.gateways import PlayedGateway
from integration.kubelet import ON_HAND, Kubelet, running
from integration.team import Team, condition
from integration.waiting import eventually

pytestmark = pytest.mark.step4

AGENTBERTH = Path(sys.executable).with_name("agentberth")
SAID_WITHIN_S = 30.0
"""On a machine that runs much else; the operator reads reports every 10 s."""


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Mock]:
    with run_mock(tmp_path / "mock", {"replies": [{"status": 401}]}) as found:
        yield found


def diagnose(cluster: Cluster, namespace: str) -> str:
    command = [str(AGENTBERTH), "diagnose", "denied", "--namespace", namespace]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "NO_COLOR": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60).stdout


async def test_a_provider_that_answers_401_to_everything_is_said(
    team: Team, kubelet: Kubelet, cluster: Cluster, mock: Mock, tmp_path: Path
) -> None:
    provider = {"name": "main", "type": "openai-compatible", "config": {"baseUrl": mock.url, "model": "mock"}}
    await team.create("denied", llm={"providers": [provider]}, resources=ON_HAND)
    (pod,) = await team.has_pods("denied")
    name = await kubelet.take(pod)
    config = (await team.finds("configmaps", "denied-berth"))["data"]
    gateway = PlayedGateway(name, pod["metadata"]["uid"], tmp_path / name, config)
    try:
        await kubelet.report(name, "Running", init={"llmgateway": running()}, main={"agent": running()}, ready=True)
        await team.api.patch("pods", name, {"status": {"podIP": gateway.address}}, part="status")

        async def is_ready() -> Document:
            found = await team.agent("denied")
            assert condition(found, "GatewayReady").get("status") == "True", found.get("status")
            return found

        await eventually(is_ready)
        body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{gateway.gateway.url}/v1/chat/completions", json=body) as answer:
                assert answer.status >= 400
            refused_at = time.monotonic()

            found = await team.says("denied", "ProvidersFailing", within_s=60)

        assert time.monotonic() - refused_at < SAID_WITHIN_S
        assert condition(found, "GatewayReady")["status"] == "False"
        assert "main: key:" in condition(found, "GatewayReady")["message"]
        assert found["status"]["llmStatus"]["providers"]["main"]["lastError"].startswith("key:")
        assert "ProvidersFailing" in diagnose(cluster, team.namespace)

        async def warned() -> bool:
            events = await team.events("denied")
            return any(e["type"] == "Warning" and e["reason"] == "ProvidersFailing" for e in events)

        await eventually(warned)
    finally:
        gateway.kill()
