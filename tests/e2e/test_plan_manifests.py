"""The five examples of the founding plan on the real node, under the test overlay: each comes up, and says so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract.initenv.git_server import GitServer, Repository
from contract.initenv.package_index import PackageIndex
from e2e.deployment import apply_overlay, write_overlay
from e2e.kubectl import Document
from e2e.namespace import Agent, Namespace
from e2e.place import Site, base_archives
from e2e.plan import manifest
from e2e.registry import ImageRegistry
from e2e.waiting import eventually
from integration.monitoring import POD_MONITOR, definition

AGENT = (Path(__file__).parent / "planagent.py").read_text()
GLUE = "import os\nos.environ['GLUED'] = 'before the first line'\n"
POD_MONITORS = definition("PodMonitor", "podmonitors", POD_MONITOR)
SCRIPT = "def main():\n    print('ahoy')\n"
CALL = """\
import json, os, urllib.request
url = os.environ["TOOL_PROXY_URL"] + "/v1/tools/custom-tool:run"
request = urllib.request.Request(url, b'{"arguments": {}}', {"content-type": "application/json"})
print(json.load(urllib.request.urlopen(request, timeout=30))["structuredContent"]["stdout"], end="")
"""
OWN_IMAGES = ("custom-agent", "base-agent", "advanced-agent", "production-agent")

pytestmark = [pytest.mark.usefixtures("registry", "platform"), pytest.mark.alone]


@pytest.fixture(scope="module")
def registry(site: Site) -> Iterator[None]:
    """Has nginx, and the images that the plan only names: python with an agent in it."""
    if not site.own:
        pytest.skip("the images are served to the node of this machine: KUBECONFIG is set")
    python, nginx = base_archives("python", "nginx")
    with ImageRegistry(address=site.host) as running:
        running.offer("nginx:latest", nginx)
        for name in OWN_IMAGES:
            running.offer(f"{name}:latest", python, ("python", "-c", AGENT))
        yield


@pytest.fixture(scope="module")
def git(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The repository that the plan names."""
    folder = tmp_path_factory.mktemp("repositories")
    Repository(folder / "agent").commit(**{"src/main.py": AGENT, "src/gluecode.py": GLUE})
    with GitServer(folder, address=site.host) as running:
        yield running.url("agent")


@pytest.fixture(scope="module")
def index(site: Site) -> Iterator[str]:
    """A Python package index with what the plan names; the newer pandas is not for Python 3.9."""
    with PackageIndex(address=site.host) as running:
        running.add_wheel("requests", "2.32.3")
        running.add_wheel("pandas", "2.2.3", requires_python=">=3.9")
        running.add_wheel("pandas", "2.3.0", requires_python=">=3.10")
        files = {"custom_tool.py": SCRIPT}
        running.add_wheel("custom_tool", "1.0", files=files, scripts={"custom-tool": "custom_tool:main"})
        yield running.url


@pytest.fixture(scope="module")
def platform(site: Site, index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The platform with that index for all agents, in a cluster that has PodMonitors."""
    site.kubectl.apply(POD_MONITORS)
    apply_overlay(site, write_overlay(site, tmp_path_factory.mktemp("overlay"), pythonIndexUrl=index))
    yield
    site.kubectl.run("delete", "customresourcedefinition", POD_MONITORS["metadata"]["name"])
    apply_overlay(site, write_overlay(site, tmp_path_factory.mktemp("former")))


def bring(namespace: Namespace, name: str, git: str = "") -> tuple[Agent, Document]:
    """An agent of the plan, once its status says that it runs and that nothing is awaited of it."""
    agent = namespace.apply(manifest(name, git))
    agent.wait_phase("Running")
    status = eventually(lambda: settled(agent), what=f"{name} awaits nothing", explain=agent.explain)
    return agent, status


def settled(agent: Agent) -> Document | None:
    """The status, when each of its conditions is about the present spec and is True."""
    document = agent.document()
    generation, status = document["metadata"]["generation"], document["status"]
    conditions = status["conditions"]
    assert {"Accepted", "Available", "Ready"} <= {one["type"] for one in conditions}
    wanted = [one for one in conditions if one["type"] != "SecurityPosture"]
    is_current = {one["observedGeneration"] for one in conditions} == {generation} == {status["observedGeneration"]}
    return status if is_current and all(one["status"] == "True" for one in wanted) else None


def reasons(status: Document) -> dict[str, str]:
    """Why each condition is what it is."""
    return {one["type"]: one["reason"] for one in status["conditions"]}


def objects(namespace: Namespace, kind: str) -> dict[str, Any]:
    """The specs of the objects of a kind, by name."""
    return {one["metadata"]["name"]: one["spec"] for one in namespace.kubectl.list(kind, namespace.name)}


@pytest.mark.step1
def test_the_plans_basic_agent_runs(baseline: Namespace) -> None:
    agent, status = bring(baseline, "basic-agent")

    assert agent.pod()["spec"]["containers"][0]["name"] == "web-agent"
    assert (status["replicas"], status["readyReplicas"]) == (1, 1)
    assert reasons(status)["WorkspacePrepared"] == "NotNeeded"


@pytest.mark.step2
def test_the_plans_container_agent_runs_with_its_packages(baseline: Namespace) -> None:
    agent, status = bring(baseline, "container-agent")

    assert agent.said() == {"API_KEY": "secret-key", "GLUED": None, "requests": "2.32.3", "pandas": "2.2.3"}
    assert agent.pod()["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert reasons(status)["WorkspacePrepared"] == "Prepared"


@pytest.mark.step2
def test_the_plans_code_agent_runs_with_the_glue_of_its_repository(baseline: Namespace, git: str) -> None:
    agent, status = bring(baseline, "code-agent", git)

    assert agent.said() == {"API_KEY": None, "GLUED": "before the first line", "requests": None, "pandas": None}
    assert reasons(status)["WorkspacePrepared"] == "Prepared"


@pytest.mark.step3
def test_the_plans_tooled_agent_runs_with_its_tools(baseline: Namespace) -> None:
    agent, status = bring(baseline, "tooled-agent")

    states = {name: (tool["required"], tool["state"]) for name, tool in status["toolStatus"].items()}
    assert states.pop("kubectl")[0] is False  # a download: it may fail, and the agent runs on
    assert states == dict.fromkeys(("python", "git", "custom-tool"), (True, "ready"))
    assert status["toolStatus"]["custom-tool"]["version"] == "1.0"
    assert reasons(status)["ToolsReady"] == "Ready"
    assert agent.run("python", "-c", CALL) == "ahoy\n"


@pytest.mark.step4
def test_the_plans_full_agent_runs_with_memory_and_models(baseline: Namespace) -> None:
    for secret in ("anthropic-credentials", "openai-credentials"):
        baseline.secret(secret, {"api-key": f"sk-{secret}"})

    _, status = bring(baseline, "full-agent")

    assert status["toolStatus"]["python"]["state"] == "ready"
    assert {name: one["keys"] for name, one in status["llmStatus"]["providers"].items()} == {
        "main-llm": 1,
        "backup-llm": 1,
    }
    memory = status["memoryStatus"]
    assert (memory["type"], memory["reachable"], memory["maxBytes"]) == ("redis", True, 1 << 30)
    assert memory["claim"] == "3Gi"  # of three times the size, as the log of changes is rewritten beside itself
    assert {"ToolsReady", "GatewayReady", "MemoryReady"} <= reasons(status).keys()


@pytest.mark.step5
def test_the_plans_production_agent_runs_twice_fenced_and_watched(baseline: Namespace) -> None:
    baseline.secret("prod-anthropic-creds", {"api-key": "sk-production"})

    agent, _ = bring(baseline, "production-agent")
    status = eventually(lambda: twice(agent), what="two replicas", explain=agent.explain)

    assert reasons(status)["Monitored"] == "Collected"
    assert status["memoryStatus"]["maxBytes"] == 2 << 30
    assert status["llmStatus"]["providers"]["production-llm"]["keys"] == 1
    assert status["toolStatus"]["python"]["state"] == "ready"
    scaler = objects(baseline, "horizontalpodautoscalers")["production-agent"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)
    assert objects(baseline, "poddisruptionbudgets")["production-agent"]["maxUnavailable"] == 1
    assert {"production-agent", "production-agent-memory"} <= objects(baseline, "networkpolicies").keys()
    endpoints = objects(baseline, "podmonitors")["production-agent"]["podMetricsEndpoints"]
    assert [endpoint["port"] for endpoint in endpoints] == ["ops-toolproxy", "ops-llmgateway"]


def twice(agent: Agent) -> Document | None:
    """The status, once the autoscaler's least number of Pods is ready."""
    status = settled(agent)
    return status if status and (status["replicas"], status["readyReplicas"]) == (2, 2) else None
