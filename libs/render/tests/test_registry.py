"""One setting moves all images of the platform to a registry of one's own."""

from typing import Any

import pytest
from pydantic import ValidationError

from agent_api.problems import examine
from agent_render import PlatformSettings, render
from agent_render.settings.registry import at_registry, located

MIRROR = "mirror.example.com:5000/hub"
SETTINGS = PlatformSettings(registry=MIRROR)


def images(spec: dict[str, Any], settings: PlatformSettings = SETTINGS) -> dict[str, str]:
    document = {
        "apiVersion": "agents.example.com/v1",
        "kind": "AgentType",
        "metadata": {"name": "web", "namespace": "agents"},
        "spec": spec,
    }
    verdict = examine(document)
    assert verdict.agent is not None, verdict.problems
    (workload,) = (one for one in render(verdict.agent, settings) if one["kind"] == "Deployment")
    pod = workload["spec"]["template"]["spec"]
    return {one["name"]: one["image"] for one in [*pod["initContainers"], *pod["containers"]]}


CODE = {"type": "code", "code": {"runtime": "python", "source": {"type": "local", "configMap": "code"}}}
MOCK = {"providers": [{"name": "mock", "type": "mock", "config": {"model": "mock"}}]}


@pytest.mark.parametrize(
    "image, expected",
    [
        ("docker.io/library/redis:8-alpine", f"{MIRROR}/library/redis:8-alpine"),
        ("agent-initenv:0.1.0", f"{MIRROR}/agent-initenv:0.1.0"),
        ("team/agent-initenv:0.1.0", f"{MIRROR}/team/agent-initenv:0.1.0"),
        ("localhost/agent-initenv:dev", f"{MIRROR}/agent-initenv:dev"),
        ("other.example.com:443/a/b@sha256:" + "0" * 64, f"{MIRROR}/a/b@sha256:" + "0" * 64),
        (f"{MIRROR}/agent-initenv:0.1.0", f"{MIRROR}/agent-initenv:0.1.0"),
    ],
)
def test_the_registry_replaces_the_host_and_nothing_else(image: str, expected: str) -> None:
    assert located(image, MIRROR) == expected


def test_every_container_of_a_code_agent_comes_from_the_registry() -> None:
    found = images({"agent": CODE, "tools": {"required": ["git"]}, "llm": MOCK})

    assert found.keys() == {"initenv", "toolproxy", "llmgateway", "agent"}
    assert {name for name, image in found.items() if not image.startswith(f"{MIRROR}/")} == set()
    assert found["agent"] == f"{MIRROR}/library/python:3.13-slim"


def test_an_image_that_an_agent_names_itself_stays() -> None:
    found = images({"agent": {"image": "quay.example.com/web:1"}, "llm": MOCK})

    assert found == {"llmgateway": f"{MIRROR}/agent-llmgateway:0.1.0", "agent": "quay.example.com/web:1"}


def test_every_image_of_the_settings_is_moved() -> None:
    pinned = {"runtimes": {**SETTINGS.runtimes.model_dump(by_alias=True)}}
    pinned["runtimes"]["python"]["versions"] = {"3.12": "docker.io/library/python@sha256:" + "1" * 64}
    moved = at_registry(PlatformSettings.model_validate({**pinned, "registry": MIRROR}))

    runtimes = (moved.runtimes.python, moved.runtimes.nodejs)
    named = [value for name, value in moved.images if name != "pull_policy"]
    named += [image for runtime in runtimes for image in (runtime.image, *runtime.versions.values())]
    assert len(named) == 7
    assert all(image.startswith(f"{MIRROR}/") for image in named)
    assert at_registry(moved) == moved


def test_without_a_registry_images_are_as_named() -> None:
    settings = PlatformSettings()

    assert at_registry(settings) is settings


@pytest.mark.parametrize("registry", ["https://mirror.example.com", "mirror.example.com/", "Mirror", "a b"])
def test_a_registry_that_no_image_could_have_is_refused(registry: str) -> None:
    with pytest.raises(ValidationError, match="registry"):
        PlatformSettings(registry=registry)
