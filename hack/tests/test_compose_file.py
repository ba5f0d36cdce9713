"""docker-compose.yml is written by hand; here it is held to the Pod that the operator would make."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from hack.generate import compose

from agent_render.containers.entry import without_init

ROOT = Path(__file__).resolve().parents[2]
SHARED_VOLUMES = {"/shared", "/tools", "/workspace"}
DOTENV_NAMES = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")


@pytest.fixture(scope="module")
def services() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


@pytest.fixture(scope="module")
def containers() -> Mapping[str, Any]:
    spec = compose.template(ROOT)["spec"]
    return {container["name"]: container for container in (*spec["initContainers"], *spec["containers"])}


def mounts(service: Mapping[str, Any]) -> dict[str, bool]:
    """Whether each of a service's mounts is read-only, by path."""
    found = {}
    for entry in service.get("volumes", ()):
        if isinstance(entry, str):
            _, path, *mode = entry.split(":")
            found[path] = mode == ["ro"]
        else:
            found[entry["target"]] = entry.get("read_only", False)
    return found


def test_there_is_a_service_for_each_container_and_one_for_what_the_kubelet_does(
    services: Mapping[str, Any], containers: Mapping[str, Any]
) -> None:
    assert set(services) == {*containers, "memory", "pod"}


def test_users_and_images_are_the_pods(services: Mapping[str, Any], containers: Mapping[str, Any]) -> None:
    for name, container in containers.items():
        context = container["securityContext"]
        assert services[name]["user"] == f"{context['runAsUser']}:{context['runAsGroup']}", name
        image = PurePosixPath(container["image"].partition(":")[0]).name
        assert f"{image}:" in services[name]["image"], name


def test_volumes_are_the_pods_and_as_read_only(services: Mapping[str, Any], containers: Mapping[str, Any]) -> None:
    for name, container in containers.items():
        wanted = {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
        shared = {path: mode for path, mode in mounts(services[name]).items() if path in SHARED_VOLUMES}
        assert shared == {path: mode for path, mode in wanted.items() if path in SHARED_VOLUMES}, name
        own = {path for path in wanted if path.startswith("/etc/agentberth/") and "credentials" not in path}
        assert own <= {path for path, read_only in mounts(services[name]).items() if read_only}, name


def test_the_agent_runs_the_pods_command_in_the_pods_folder_with_the_rendered_environment(
    services: Mapping[str, Any], containers: Mapping[str, Any]
) -> None:
    assert services["agent"]["command"] == list(without_init(tuple(containers["agent"]["command"])))
    assert services["agent"]["working_dir"] == containers["agent"]["workingDir"]
    assert services["agent"]["env_file"] == ["deploy/compose/agent.env"]
    assert set(services["agent"]["environment"]) == {"AGENT_MEMORY_URL", "REDIS_URL"}


def test_every_service_is_as_hard_as_a_restricted_pod(services: Mapping[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is (name != "llmgateway"), name
        assert "privileged" not in service, name
        assert name == "pod" or service["network_mode"] == "service:pod", name


def test_keys_reach_the_gateway_alone_and_as_files(services: Mapping[str, Any], containers: Mapping[str, Any]) -> None:
    folders = {m["mountPath"] for m in containers["llmgateway"]["volumeMounts"] if "credentials" in m["mountPath"]}
    targets = [config["target"] for config in services["llmgateway"]["configs"]]
    assert {str(PurePosixPath(target).parent) for target in targets} == folders
    for name, service in services.items():
        assert name == "llmgateway" or "configs" not in service, name
        assert not [known for known in DOTENV_NAMES if known in str(service)], name


def test_every_variable_of_the_file_is_explained_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text()
    used = {part.partition(":-")[0] for part in text.split("${")[1:]}
    assert used == {line.lstrip("#").partition("=")[0] for line in example.splitlines() if "=" in line}
