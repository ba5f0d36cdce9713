import json
import re

import pytest
from compose.conftest import SERVICES, Loaded

INSTALLED = """
import importlib.metadata as m, json
print(json.dumps(sorted({d.name: d.version for d in m.distributions()}.items())))
"""
TOOLS = {"initenv": {"git", "node", "npm", "ssh", "uv"}, "toolproxy": {"curl", "git", "jq", "node", "npm", "rg", "uv"}}
"""What an image has because its service calls it or serves it."""
LOOKED_FOR = ("cc", "curl", "gcc", "git", "jq", "make", "node", "npm", "pip", "pip3", "rg", "ssh", "uv", "wget")

pytestmark = pytest.mark.parametrize("service", SERVICES)


def run(loaded: Loaded, service: str, program: str, *arguments: str) -> str:
    options = ("--rm", "--network=none", "--read-only", "--cap-drop=ALL", f"--entrypoint={program}")
    return loaded.docker.run("run", *options, f"localhost/agent-{service}:dev", *arguments)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_sbom_beside_the_archive_lists_what_is_installed_and_nothing_else(loaded: Loaded, service: str) -> None:
    archive = loaded.archives[f"agent-{service}:dev"]
    document = json.loads(archive.with_suffix(".cdx.json").read_text())
    installed = json.loads(run(loaded, service, "/opt/agentberth/bin/python", "-I", "-c", INSTALLED))

    listed = {
        (normal(component["name"]), component["version"])
        for component in document["components"]
        if not any(one["name"] == "uv:package:marker" for one in component.get("properties", ()))
    }

    assert listed == {(normal(name), version) for name, version in installed}


def test_the_image_runs_its_program_as_nobody_and_says_what_it_is(loaded: Loaded, service: str) -> None:
    (described,) = json.loads(loaded.docker.run("image", "inspect", f"localhost/agent-{service}:dev"))
    labels = described["Config"]["Labels"]

    assert described["Config"]["User"] == "65532:65532"
    assert described["Config"]["Entrypoint"] == [f"agent-{service}"]
    assert labels["org.opencontainers.image.title"] == f"agent-{service}"
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?", labels["org.opencontainers.image.revision"])
    assert all(
        labels[f"org.opencontainers.image.{name}"] for name in ("description", "licenses", "version", "base.name")
    )
    assert f"agent-{service}" in run(loaded, service, f"agent-{service}", "--help")


def test_the_image_has_no_tool_that_its_service_does_not_call(loaded: Loaded, service: str) -> None:
    look = f"import json, shutil; print(json.dumps([name for name in {LOOKED_FOR} if shutil.which(name)]))"

    found = set(json.loads(run(loaded, service, "python3", "-I", "-c", look)))

    assert found - {"pip", "pip3"} == TOOLS.get(service, set())
    assert service in TOOLS or not found & {"pip", "pip3"}
