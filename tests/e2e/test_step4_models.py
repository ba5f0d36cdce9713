"""The plan's step 4, its model half, with real Pods: failover between providers, and keys out of the agent's reach."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from e2e.agents import PYTHON_VERSION
from e2e.namespace import Agent, Namespace
from e2e.place import Site
from e2e.providers import provider, serving
from e2e.waiting import eventually

pytestmark = pytest.mark.step4

CANARY = "sk-canary-4f1d9c0b7a"

MODEL_CLIENT = (Path(__file__).parent / "model_client.py").read_text()


@pytest.fixture(scope="module")
def cloud(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two providers on this machine: one is overloaded, the other answers whoever has the key. Name -> base URL."""
    folder = tmp_path_factory.mktemp("scripts")
    scripts: dict[str, dict[str, Any]] = {
        "primary": {"replies": [{"status": 529}]},
        "backup": {"keys": [CANARY], "replies": [{"text": "ahoy from the backup"}]},
    }
    with ExitStack() as running:
        yield {
            name: running.enter_context(serving(script, host=site.host, file=folder / f"{name}.yaml"))
            for name, script in scripts.items()
        }


@pytest.fixture(scope="module")
def model_client(harbour: Namespace, site: Site, cloud: dict[str, str]) -> Agent:
    """An agent with both providers, the overloaded one first; their keys are in Secrets."""
    harbour.secret("primary-key", {"api-key": f"{CANARY}-primary"})
    harbour.secret("backup-key", {"api-key": CANARY})
    providers = [provider(name, url, secret=f"{name}-key") for name, url in cloud.items()]
    image = site.images.python.format(version=PYTHON_VERSION)
    hunted = [{"name": "HUNTED", "value": CANARY[::-1]}]
    agent = {"image": image, "command": ["python", "-c", MODEL_CLIENT], "environment": {"variables": hunted}}
    made = harbour.create("model-client", agent, llm={"providers": providers}, security={"profile": "restricted"})
    made.wait_phase("Running")
    return made


def test_should_answer_from_the_backup_when_the_primary_fails(model_client: Agent) -> None:
    said = model_client.said()

    assert (said["text"], said["by"]) == ("ahoy from the backup", "backup")
    model_client.wait_condition("GatewayReady", "True", "Ready")


def test_should_keep_the_keys_out_of_the_agents_reach(model_client: Agent) -> None:
    said = model_client.said()

    assert said["text"] == "ahoy from the backup"  # the very key that is looked for was used
    assert {"/workspace", "/tmp"} <= set(said["mounts"])  # they were looked through, and all others
    assert said["found"] == []
    assert said["pids"] == ["1"]  # no other container's processes are in sight
    spec = model_client.pod()["spec"]
    assert CANARY not in str(model_client.document())
    (main,) = spec["containers"]
    secrets = {volume["name"] for volume in spec["volumes"] if "secret" in volume}
    assert secrets
    assert not secrets & {mount["name"] for mount in main["volumeMounts"]}
    (gateway,) = spec["initContainers"]
    assert secrets <= {mount["name"] for mount in gateway["volumeMounts"]}
    assert CANARY not in model_client.log("llmgateway")


def test_should_show_in_the_status_who_answers(model_client: Agent) -> None:
    model_client.said()

    status = eventually(
        lambda: (
            model_client.status()
            if (model_client.status().get("llmStatus") or {}).get("answering") == "backup"
            else None
        ),
        what="llmStatus names the backup",
        explain=model_client.explain,
    )

    primary = status["llmStatus"]["providers"]["primary"]
    assert primary["failures"] >= 1
    assert "529" in primary["lastError"] or primary["lastError"]
    assert CANARY not in str(status)
