"""The Tiltfile, run as Starlark with recording stand-ins for Tilt's functions: Tilt itself is not needed.

What it says is held to the tree: every path is there, every image has a Dockerfile, and what an image is built
from holds what its Dockerfile copies.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import starlark
import yaml

ROOT = Path(__file__).resolve().parents[2]
RECORDED = (
    "docker_build",
    "k8s_custom_deploy",
    "k8s_resource",
    "k8s_yaml",
    "local_resource",
    "watch_file",
)
PRELUDE = """
config = struct(define_string = _define_string, parse = _parse)
TRIGGER_MODE_MANUAL = 'manual'
"""
OPERATOR = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: agentberth-operator}
spec: {template: {spec: {containers: [{name: operator, image: localhost/agent-operator:dev-abc}]}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: agentberth-system}
"""
OVERLAY = "deploy/overlays/dev"


class Tilt:
    """What the Tiltfile asked for: the arguments of each call, by function."""

    def __init__(self, **settings: str) -> None:
        self.calls: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {name: [] for name in RECORDED}
        self.overlays: list[str] = []
        self.defined: list[str] = []
        module = starlark.Module()
        for name in RECORDED:
            module.add_callable(name, self._recorder(name))
        module.add_callable("sync", lambda source, target: [source, target])
        module.add_callable("kustomize", self._kustomize)
        module.add_callable("decode_yaml_stream", lambda text: list(yaml.safe_load_all(text)))
        module.add_callable("encode_yaml_stream", yaml.safe_dump_all)
        module.add_callable("_define_string", lambda name, **_: self.defined.append(name))
        module.add_callable("_parse", lambda: settings)
        built_in = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
        starlark.eval(module, starlark.parse("prelude", PRELUDE), built_in)
        starlark.eval(module, starlark.parse("Tiltfile", (ROOT / "Tiltfile").read_text()), built_in)

    @property
    def builds(self) -> dict[str, dict[str, Any]]:
        """The options of docker_build by image."""
        return {name: options for (name,), options in self.calls["docker_build"]}

    def _recorder(self, name: str) -> Callable[..., None]:
        def record(*arguments: Any, **options: Any) -> None:
            self.calls[name].append((arguments, options))

        return record

    def _kustomize(self, folder: str) -> str:
        self.overlays.append(folder)
        return OPERATOR


@pytest.fixture(scope="module")
def tilt() -> Tilt:
    return Tilt()


def test_the_four_images_are_built_from_their_dockerfiles(tilt: Tilt) -> None:
    services = {path.parent.name for path in ROOT.glob("services/*/Dockerfile")}
    assert {name for name in tilt.builds if name.startswith("agent-")} == {f"agent-{name}" for name in services}
    for name, options in tilt.builds.items():
        if "dockerfile" in options:
            assert options["dockerfile"] == f"services/{name.partition('-')[2]}/Dockerfile"
        else:
            assert f"FROM plain-{name.partition('-')[2]}\n" in options["dockerfile_contents"]


def test_a_build_sees_every_folder_that_its_dockerfile_copies(tilt: Tilt) -> None:
    for name, options in tilt.builds.items():
        text = options.get("dockerfile_contents") or (ROOT / options["dockerfile"]).read_text()
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
            for source in line.split():
                assert any(Path(source).is_relative_to(seen) for seen in options["only"]), f"{name}: {source}"


def test_every_path_is_there(tilt: Tilt) -> None:
    named = [path for options in tilt.builds.values() for path in options["only"]]
    named += [pair[0] for options in tilt.builds.values() for pair in options.get("live_update", ())]
    named += [
        path
        for kind in ("k8s_custom_deploy", "local_resource")
        for _, o in tilt.calls[kind]
        for path in o.get("deps", ())
    ]
    named += [path for (path,), _ in tilt.calls["watch_file"]]
    commands = [
        o.get("cmd") or o["apply_cmd"] for kind in ("k8s_custom_deploy", "local_resource") for _, o in tilt.calls[kind]
    ]
    named += [word for command in commands for word in command if "/" in word]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_running_containers_get_the_source_of_their_service_and_of_the_libraries(tilt: Tilt) -> None:
    for service in ("llmgateway", "operator", "toolproxy"):
        options = tilt.builds[f"agent-{service}"]
        sources = {pair[0] for pair in options["live_update"]}
        assert {f"services/{service}/src", "libs/base/src", "libs/api/src", "libs/kit/src"} <= sources
        (target,) = {pair[1] for pair in options["live_update"]}
        entrypoint = json.loads(options["dockerfile_contents"].rpartition("ENTRYPOINT ")[2])
        assert entrypoint == ["python3", "/usr/local/bin/live.py", target, f"agent-{service}"]
        assert target.startswith("/tmp/")


def test_the_operator_is_the_one_that_is_built_and_has_a_tmp(tilt: Tilt) -> None:
    assert tilt.overlays == [OVERLAY]
    ((text,), _) = tilt.calls["k8s_yaml"][0]
    deployment, namespace = yaml.safe_load_all(text)
    spec = deployment["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == "agent-operator"
    assert spec["containers"][0]["volumeMounts"] == [{"name": "live", "mountPath": "/tmp"}]
    assert spec["volumes"] == [{"name": "live", "emptyDir": {}}]
    assert namespace["kind"] == "Namespace"


def test_the_sample_waits_for_the_sidecars_in_the_order_in_which_they_are_taken(tilt: Tilt) -> None:
    ((_, options),) = tilt.calls["k8s_custom_deploy"]
    script = (ROOT / options["apply_cmd"][0]).read_text()
    (names,) = re.findall(r"^SIDECARS = \((.+)\)$", script, re.MULTILINE)
    assert options["image_deps"] == [f"agent-{name}" for name in re.findall(r'"(\w+)"', names)]
    assert all(image in tilt.builds for image in options["image_deps"])


def test_the_mirror_reaches_every_image_that_has_a_base_outside(tilt: Tilt) -> None:
    elsewhere = Tilt(mirror="mirror.example.com")
    assert elsewhere.defined == ["mirror"]
    bases = [options["build_args"] for options in elsewhere.builds.values() if "dockerfile" in options]
    assert bases == [{"MIRROR": "mirror.example.com"}] * 4
