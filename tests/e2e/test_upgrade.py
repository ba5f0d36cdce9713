"""A change of the platform's images where agents are: Pods roll in order, and what cannot start harms nobody.

The operator's own upgrade and way back are the commands of docs/how-to/upgrade.md, read from the page.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from e2e.deployment import apply_overlay, operator_pods, write_overlay
from e2e.kubectl import Document, KubectlError
from e2e.namespace import Agent, Namespace
from e2e.place import ROOT, Site
from e2e.providers import provider, serving
from e2e.sidecars import RESTRICTED, ask, assisted, python_agent
from e2e.waiting import eventually

pytestmark = [pytest.mark.step4, pytest.mark.alone]

PAGE = ROOT / "docs" / "how-to" / "upgrade.md"


@pytest.fixture
def upgraded(site: Site, tmp_path: Path) -> Iterator[Path]:
    """A folder for changed settings. The platform has its former ones again afterwards."""
    yield tmp_path
    apply_overlay(site, write_overlay(site, tmp_path))


def test_a_new_sidecar_image_rolls_pods_in_order_and_a_bad_one_is_taken_back(
    restricted: Namespace, site: Site, upgraded: Path
) -> None:
    with serving({"replies": [{"text": "ahoy"}]}, host=site.host, file=upgraded / "mock.yaml") as url:
        agent = assisted(restricted, site, provider("mock", url))
        first = agent.pod()["metadata"]["uid"]

        newer = site.next_image(agent.pod(), "llmgateway")
        set_gateway(site, upgraded, newer)
        fewest = watch_rollout(agent, first)

        assert fewest >= 1  # the former Pod went when the next was ready
        assert gateway_image(agent) == newer
        assert ask(agent) == "ahoy"

        second = agent.pod()["metadata"]["uid"]
        set_gateway(site, upgraded, "localhost/no-such-gateway:1")
        agent.wait_condition("Ready", "False", "ImagePullFailed")
        assert [pod["metadata"]["uid"] for pod in ready_pods(agent)] == [second]

        set_gateway(site, upgraded, site.images.llmgateway)
        eventually(
            lambda: [gateway_of(pod) for pod in agent.pods()] == [site.images.llmgateway],
            what="the first image again",
            explain=agent.explain,
        )
        agent.wait_phase("Running")
        assert ask(agent) == "ahoy"


@pytest.mark.step5
def test_the_operator_rolls_to_another_image_and_back_and_agents_stay(
    restricted: Namespace, site: Site, upgraded: Path
) -> None:
    agents = [running(restricted, site, "before")]
    roll(site, upgraded, site.images.operator)
    as_page_says(site, "rollout status", "--timeout=80s")
    newer = site.next_image(operator_pods(site)[0], "operator")

    roll(site, upgraded, newer)
    agents.append(running(restricted, site, "meanwhile"))
    as_page_says(site, "rollout status", "--timeout=80s")
    eventually(lambda: operator_images(site) == [newer] * 2, what="both replicas are of the newer release")
    pods = uids(agents)

    roll(site, upgraded, "localhost/no-such-operator:1")
    with pytest.raises(KubectlError, match="timed out"):
        as_page_says(site, "rollout status", "--timeout=8s")
    assert [operator_image(pod) for pod in operator_pods(site) if is_ready(pod)] == [newer] * 2
    agents.append(running(restricted, site, "while-stuck"))
    pods += uids(agents[-1:])

    as_page_says(site, "rollout undo")
    as_page_says(site, "rollout status", "--timeout=80s")
    eventually(lambda: operator_images(site) == [newer] * 2, what="the bad release has gone")
    operators = {pod["metadata"]["uid"] for pod in operator_pods(site)}
    roll(site, upgraded, newer)
    as_page_says(site, "rollout status", "--timeout=80s")

    assert {pod["metadata"]["uid"] for pod in operator_pods(site)} == operators  # undo had made what apply makes
    agents.append(running(restricted, site, "after"))
    assert uids(agents[:-1]) == pods


def running(namespace: Namespace, site: Site, name: str) -> Agent:
    """A new agent, once it runs."""
    agent = namespace.create(name, python_agent(site), security=RESTRICTED)
    agent.wait_phase("Running")
    return agent


def uids(agents: list[Agent]) -> list[str]:
    """Which Pod each agent has."""
    return [agent.pod()["metadata"]["uid"] for agent in agents]


def roll(site: Site, folder: Path, image: str) -> None:
    """Applies an overlay with two operators of that image, as the page says, and does not wait."""
    changed = replace(site, images=replace(site.images, operator=image))
    as_page_says(site, "apply -k", overlay=write_overlay(changed, folder, replicas=2))


def as_page_says(site: Site, words: str, *more: str, overlay: Path | None = None) -> None:
    """Runs the page's kubectl command with those words, on an overlay of ours. Raises KubectlError."""
    commands = re.findall(r"^\$ kubectl (.*?) *(?:#.*)?$", PAGE.read_text(), re.MULTILINE)
    (command,) = {each for each in commands if words in each}
    said = command.replace("deploy/overlays/mine", str(overlay))
    site.kubectl.run(*shlex.split(said), *more)


def operator_images(site: Site) -> list[str]:
    """What the operator's Pods are made of, those included that are about to go."""
    return [operator_image(pod) for pod in operator_pods(site)]


def operator_image(pod: Document) -> str:
    """The image of an operator's Pod."""
    return str(pod["spec"]["containers"][0]["image"])


def set_gateway(site: Site, folder: Path, image: str) -> None:
    """The platform with another image of the gateway, at work."""
    changed = replace(site, images=replace(site.images, llmgateway=image))
    apply_overlay(site, write_overlay(changed, folder))


def watch_rollout(agent: Agent, former: str) -> int:
    """The fewest ready Pods that were seen until the former one has gone."""
    counts = []

    def look() -> bool:
        counts.append(len(ready_pods(agent)))
        return former not in [pod["metadata"]["uid"] for pod in agent.pods()]

    eventually(look, what=f"the former Pod of {agent.name} has gone", explain=agent.explain)
    return min(counts)


def ready_pods(agent: Agent) -> list[Document]:
    """Its Pods that can be used."""
    return [pod for pod in agent.pods() if is_ready(pod)]


def is_ready(pod: Document) -> bool:
    """Whether a Pod says that it can be used."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))


def gateway_image(agent: Agent) -> str:
    """The image of the gateway in its one Pod."""
    return gateway_of(agent.pod())


def gateway_of(pod: Document) -> str:
    """The image of the gateway in a Pod."""
    return next(str(one["image"]) for one in pod["spec"]["initContainers"] if one["name"] == "llmgateway")
