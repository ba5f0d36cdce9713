"""A change of the platform's images where agents are: Pods roll in order, and what cannot start harms nobody."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from e2e.deployment import apply_overlay, write_overlay
from e2e.kubectl import Document
from e2e.place import Site
from e2e.providers import provider, serving
from e2e.sidecars import ask, assisted
from e2e.waiting import eventually
from e2e.yard import Agent, Yard

pytestmark = pytest.mark.step4


@pytest.fixture
def upgraded(site: Site, tmp_path: Path) -> Iterator[Path]:
    """A folder for changed settings. The platform has its former ones again afterwards."""
    yield tmp_path
    apply_overlay(site, write_overlay(site, tmp_path))


def test_a_new_sidecar_image_rolls_pods_in_order_and_a_bad_one_is_taken_back(
    restricted: Yard, site: Site, upgraded: Path
) -> None:
    with serving({"replies": [{"text": "ahoy"}]}, host=site.host, file=upgraded / "mock.yaml") as url:
        agent = assisted(restricted, site, provider("mock", url))
        first = agent.pod()["metadata"]["uid"]

        set_gateway(site, upgraded, site.next_gateway(agent.pod()))
        fewest = watch_rollout(agent, first)

        assert fewest >= 1  # the former Pod went when the next was ready
        assert gateway_image(agent) == site.next_gateway(agent.pod())
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
    return [
        pod
        for pod in agent.pods()
        if any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
    ]


def gateway_image(agent: Agent) -> str:
    """The image of the gateway in its one Pod."""
    return gateway_of(agent.pod())


def gateway_of(pod: Document) -> str:
    """The image of the gateway in a Pod."""
    return next(str(one["image"]) for one in pod["spec"]["initContainers"] if one["name"] == "llmgateway")
