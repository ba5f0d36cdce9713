"""Agents as others publish them, unmodified, in Pods. CI runs the smallest one; AGENTBERTH_WHOLE=1 runs them all."""

import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml
from contract.examples.test_published import SAID, SMALL
from e2e.mirror import Mirror
from e2e.namespace import Agent, Namespace
from e2e.place import ROOT, Site
from e2e.waiting import eventually

PUBLISHED: Final = ROOT / "examples/published"
WHOLE: Final = bool(os.environ.get("AGENTBERTH_WHOLE"))
PATIENCE_S: Final = 400
"""Real packages are installed."""

pytestmark = pytest.mark.step5


@pytest.fixture
def mirror(site: Site, baseline: Namespace) -> Iterator[None]:
    """The Secret `index`, which leads to the indexes of this machine."""
    with Mirror(address=site.host) as running:
        baseline.secret("index", running.secret)
        yield


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("name", sorted(SAID) if WHOLE else [SMALL])
def test_a_published_agent_runs_unmodified_in_a_pod(baseline: Namespace, name: str) -> None:
    document: dict[str, Any] = yaml.safe_load((PUBLISHED / name / "agent.yaml").read_text())
    document["spec"]["agent"]["environment"]["sdk"] = {"indexSecret": "index"}
    document["spec"]["resources"] = {"profile": "medium"}

    agent = baseline.apply(yaml.safe_dump(document))

    eventually(lambda: has_said(agent, SAID[name]), what="its words", explain=agent.explain, timeout_s=PATIENCE_S)
    assert agent.wait_phase("Succeeded")["phase"] == "Succeeded"


def has_said(agent: Agent, text: str) -> bool:
    """Whether a Pod has printed `text` and ended well."""
    kubectl, place = agent.namespace.kubectl, agent.namespace.name
    ended = [pod["metadata"]["name"] for pod in agent.pods() if pod["status"]["phase"] == "Succeeded"]
    return any(text in kubectl.run("logs", "-n", place, name, "-c", "agent") for name in ended)
