"""The agents and features of deploy/ in Pods under the test overlay, all at once: AGENTBERTH_WHOLE=1 runs them."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from e2e.kubectl import Document
from e2e.mirror import Mirror
from e2e.namespace import Agent, Namespace
from e2e.place import ROOT, Site
from e2e.waiting import eventually

DEPLOY: Final = ROOT / "deploy"
WHOLE: Final = bool(os.environ.get("AGENTBERTH_WHOLE"))
PATIENCE_S: Final = 400
"""Real packages are installed, several agents at once."""
FEATURES: Final = {
    "python/web-service": ("memory/medium", "tools/standard"),
    "python/batch-processor": ("memory/large",),
    "python/data-science": (),
    "nodejs/api-server": (),
    "nodejs/worker": ("memory/small", "tools/complete", "apis/development"),
    "custom/templates": ("tools/minimal", "apis/production"),
}
"""Of each agent, so that each feature is in one."""
ASK: Final = """\
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:8080/ask", b"When is high water?", timeout=60).read().decode())
"""
NOTE: Final = """\
fetch("http://127.0.0.1:8081/landings", {method: "POST", body: JSON.stringify({text: "Petrel, 420 kg of herring"})})
  .then((answer) => answer.text()).then(console.log);
"""
WORK: Final = """\
const fs = require("node:fs"), place = process.env.AGENT_WORKSPACE;
fs.writeFileSync(`${place}/inbox/1.new`, JSON.stringify({text: "b\\na\\n"}));
fs.renameSync(`${place}/inbox/1.new`, `${place}/inbox/1.json`);
const look = () => fs.existsSync(`${place}/outbox/1.json`)
  ? console.log(fs.readFileSync(`${place}/outbox/1.json`, "utf8")) : setTimeout(look, 100);
look();
"""

pytestmark = pytest.mark.step5


@pytest.fixture
def mirror(site: Site, baseline: Namespace) -> Iterator[None]:
    """The Secret `index`, which leads to the indexes of this machine."""
    with Mirror(address=site.host) as running:
        baseline.secret("index", running.secret)
        yield


def from_index(spec: Mapping[str, Any]) -> list[Document]:
    """The patch that names it, where an agent has packages."""
    agent = spec["agent"]
    environment = agent.get("environment", {})
    if agent["type"] != "package" and "sdk" not in environment:
        return []
    sdk = {**environment.get("sdk", {}), "indexSecret": "index"}
    return [{"op": "add", "path": "/spec/agent/environment", "value": {**environment, "sdk": sdk}}]


def deploy(folder: Path, namespace: Namespace, site: Site, name: str) -> Agent:
    """`kubectl apply -k` of an agent with its features; an image of one's own is replaced by its program."""
    example = yaml.safe_load((example_of(name) / "agent.yaml").read_text())
    patch = from_index(example["spec"])
    if name == "custom/templates":
        program = (example_of(name) / "main.py").read_text()
        image = {"image": site.images.python.format(version="3.13")}
        patch += [
            {"op": "replace", "path": "/spec/agent/container", "value": image},
            {"op": "add", "path": "/spec/agent/command", "value": ["python", "-c", program]},
        ]
    parts = {
        "namespace": namespace.name,
        "resources": [os.path.relpath(DEPLOY / "agents" / name, folder.resolve())],
        "components": [os.path.relpath(DEPLOY / "features" / one, folder.resolve()) for one in FEATURES[name]],
        "patches": [{"target": {"kind": "AgentType"}, "patch": json.dumps(patch)}] if patch else [],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(parts))
    namespace.kubectl.run("apply", "-k", str(folder))
    return Agent(namespace, example["metadata"]["name"])


def example_of(name: str) -> Path:
    place = DEPLOY / "agents" / name
    parts: Document = yaml.safe_load((place / "kustomization.yaml").read_text())
    return Path(place, *parts["resources"]).resolve()


def until_ready(agent: Agent) -> Document:
    """The status, once all is as the spec says."""

    def look() -> Document | None:
        return agent.status() if agent.condition("Ready").get("status") == "True" else None

    return eventually(look, what=f"{agent.name} is ready", explain=agent.explain, timeout_s=PATIENCE_S)


def until_said(agent: Agent, text: str, selector: str) -> None:
    """Waits for a Pod of a Job that has printed `text` and ended well."""
    kubectl, place = agent.namespace.kubectl, agent.namespace.name

    def look() -> bool:
        ended = [pod for pod in kubectl.list("pods", place, selector) if pod["status"]["phase"] == "Succeeded"]
        return any(text in kubectl.run("logs", "-n", place, pod["metadata"]["name"], "-c", "agent") for pod in ended)

    eventually(look, what=f"{agent.name} says {text!r}", explain=agent.explain, timeout_s=PATIENCE_S)


def one_pod(agent: Agent, *command: str) -> str:
    """What a command says in one of the agent's Pods."""
    name = agent.pods()[0]["metadata"]["name"]
    return agent.namespace.kubectl.run("exec", "-n", agent.namespace.name, name, "-c", "agent", "--", *command)


@pytest.mark.skipif(not WHOLE, reason="installs real packages in ten Pods at once: AGENTBERTH_WHOLE=1")
@pytest.mark.usefixtures("mirror")
def test_the_agents_and_features_of_deploy_run_as_pods(baseline: Namespace, site: Site, tmp_path: Path) -> None:
    for secret in ("anthropic-credentials", "openai-credentials"):
        baseline.secret(secret, {"api-key": f"sk-{secret}"})
    agents = {}
    for number, name in enumerate(FEATURES):
        folder = tmp_path / str(number)
        folder.mkdir()
        agents[name] = deploy(folder, baseline, site, name)
    batch = agents["python/batch-processor"]
    until_ready(batch)
    baseline.kubectl.run("create", "job", "tonight", "--from=cronjob/batch-processor", "-n", baseline.name)

    for name in ("python/web-service", "nodejs/api-server", "nodejs/worker"):
        until_ready(agents[name])
    assert "High water is at six." in one_pod(agents["python/web-service"], "python", "-c", ASK)
    assert json.loads(one_pod(agents["nodejs/api-server"], "node", "-e", NOTE))["boat"] == "Petrel"
    assert json.loads(one_pod(agents["nodejs/worker"], "node", "-e", WORK))["lines"] == 2
    until_said(agents["python/data-science"], "best day: Friday", "agents.example.com/agent=data-science")
    until_said(agents["custom/templates"], "Ahoy from my-agent", "agents.example.com/agent=my-agent")
    until_said(batch, "4 letters sorted", "batch.kubernetes.io/job-name=tonight")
    assert batch.status()["memoryStatus"]["maxBytes"] == 2 << 30
    assert agents["custom/templates"].status()["phase"] == "Succeeded"
    tools = agents["nodejs/worker"].status()["toolStatus"]
    assert {tools[name]["state"] for name in ("git", "jq", "ripgrep")} == {"ready"}


def test_each_agent_and_each_feature_is_tried() -> None:
    agents = {str(file.parent.relative_to(DEPLOY / "agents")) for file in DEPLOY.glob("agents/*/*/kustomization.yaml")}
    features = {str(file.parent.relative_to(DEPLOY / "features")) for file in DEPLOY.glob("features/*/*/*.yaml")}

    assert agents == FEATURES.keys()
    assert features == {feature for each in FEATURES.values() for feature in each}
