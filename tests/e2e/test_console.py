"""The console as deploy/components/console runs it: its image in a Pod, its rights, and the way in that docs tell."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from e2e.agents import unprivileged_nginx
from e2e.deployment import NAMESPACE
from e2e.namespace import Namespace
from e2e.place import ROOT, Site
from e2e.waiting import eventually

DEPLOYMENT = "deployment/agentberth-console"


@pytest.fixture
def console(site: Site, tmp_path: Path) -> Iterator[httpx.Client]:
    """What `kubectl port-forward` opens to it. The component is gone afterwards."""
    name, _, tag = site.images.console.rpartition(":")
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "components": [os.path.relpath(ROOT / "deploy" / "components" / "console", tmp_path.resolve())],
        "images": [{"name": "agentberth", "newName": name, "newTag": tag}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    site.kubectl.run("apply", "-k", str(tmp_path))
    try:
        site.kubectl.run("rollout", "status", DEPLOYMENT, "-n", NAMESPACE, "--timeout=80s")
        with site.kubectl.follow("port-forward", "-n", NAMESPACE, DEPLOYMENT, ":8080") as forwarding:
            assert forwarding.stdout is not None
            line = forwarding.stdout.readline()
            port = re.search(r"127\.0\.0\.1:(\d+) -> 8080", line)
            assert port, line
            with httpx.Client(base_url=f"http://127.0.0.1:{port[1]}", timeout=60, trust_env=False) as client:
                yield client
    finally:
        site.kubectl.run("delete", "-k", str(tmp_path), "--wait=false")


def ask(client: httpx.Client, path: str) -> Any:
    return client.get(path).raise_for_status().json()


def test_the_console_in_its_pod_shows_an_agent_with_the_rights_of_its_component(
    console: httpx.Client, restricted: Namespace, site: Site
) -> None:
    llm = {"providers": [{"name": "main", "type": "mock"}]}
    agent = restricted.create("seen", unprivileged_nginx(site.images), security={"profile": "restricted"}, llm=llm)
    agent.wait_phase("Running")
    path = f"/api/agents/{restricted.name}/seen"

    page = console.get("/")
    eventually(lambda: restricted.name in console.get("/api/agents").text, what="the console lists the agent")
    view = ask(console, path)
    (container,) = (each for each in view["containers"] if each["role"] == "agent")
    log = ask(console, f"{path}/logs?container={container['name']}&pod={container['pod']}")
    calls = ask(console, f"{path}/calls")
    kept = eventually(lambda: ask(console, f"{path}/revisions")["revisions"], what="the operator has kept the spec")

    assert "Agentberth" in page.text
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert {each["name"] for each in view["containers"]} >= {"llmgateway", container["name"]}
    assert (view["notes"], log["notes"]) == ([], [])
    assert [note for note in calls["notes"] if "not verified" not in note] == []
    assert [each["number"] for each in kept] == ["1"]
