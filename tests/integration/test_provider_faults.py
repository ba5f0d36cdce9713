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
from integration.namespace import Namespace, condition
from integration.waiting import eventually

pytestmark = pytest.mark.step4

AGENTBERTH = Path(sys.executable).with_name("agentberth")
SAID_WITHIN_S = 15.0 if os.environ.get("AGENTBERTH_WHOLE") else 60.0
"""What is promised, and what a machine that runs much else may take."""


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Mock]:
    with run_mock(tmp_path / "mock", {"replies": [{"status": 401}]}) as found:
        yield found


def diagnose(cluster: Cluster, namespace: str) -> str:
    command = [str(AGENTBERTH), "diagnose", "denied", "--namespace", namespace]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "NO_COLOR": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60).stdout


async def test_a_provider_that_answers_401_to_everything_is_said(
    namespace: Namespace, kubelet: Kubelet, cluster: Cluster, mock: Mock, tmp_path: Path
) -> None:
    provider = {"name": "main", "type": "openai-compatible", "config": {"baseUrl": mock.url, "model": "mock"}}
    await namespace.create("denied", llm={"providers": [provider]}, resources=ON_HAND)
    (pod,) = await namespace.has_pods("denied")
    name = await kubelet.take(pod)
    config = (await namespace.finds("configmaps", "denied-berth"))["data"]
    gateway = PlayedGateway(name, pod["metadata"]["uid"], tmp_path / name, config)
    try:
        await kubelet.report(name, "Running", init={"llmgateway": running()}, main={"agent": running()}, ready=True)
        await namespace.api.patch("pods", name, {"status": {"podIP": gateway.address}}, part="status")

        async def is_ready() -> Document:
            found = await namespace.agent("denied")
            assert condition(found, "GatewayReady").get("status") == "True", found.get("status")
            return found

        await eventually(is_ready)
        body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{gateway.gateway.url}/v1/chat/completions", json=body) as answer:
                assert answer.status >= 400
            refused_at = time.monotonic()

            found = await namespace.says("denied", "ProvidersFailing", within_s=60)

        assert time.monotonic() - refused_at < SAID_WITHIN_S
        assert condition(found, "GatewayReady")["status"] == "False"
        assert "main: key_refused:" in condition(found, "GatewayReady")["message"]
        assert found["status"]["llmStatus"]["providers"]["main"]["lastError"].startswith("key_refused:")
        assert "ProvidersFailing" in diagnose(cluster, namespace.name)

        async def warned() -> bool:
            events = await namespace.events("denied")
            return any(e["type"] == "Warning" and e["reason"] == "ProvidersFailing" for e in events)

        await eventually(warned)
    finally:
        gateway.kill()
