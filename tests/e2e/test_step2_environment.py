"""The plan's step 2 with real Pods: shared volume, init container, variables, packages, glue, code."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from contract.initenv.git_server import GitServer, Repository
from contract.initenv.npm_registry import NpmRegistry
from contract.initenv.package_index import PackageIndex
from e2e.agents import KINDS, Kind
from e2e.kubectl import Document, KubectlError
from e2e.namespace import Agent, Namespace
from e2e.place import Site

pytestmark = pytest.mark.step2

RESTRICTED = {"profile": "restricted"}
GREETING = {"path": "greeting.txt", "content": "ahoy\n"}


@dataclass(frozen=True)
class Moored:
    """An agent that runs, and the way it was brought."""

    kind: Kind
    agent: Agent


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def moored(
    request: pytest.FixtureRequest, site: Site, harbour: Namespace, index: PackageIndex, registry: NpmRegistry
) -> Moored:
    """An agent with all that is prepared for one: each test looks at its own part of it."""
    kind: Kind = request.param
    harbour.secret("index", {"index-url": index.url, "npmrc": f"registry={registry.url}\n"})
    harbour.secret("greetings", {"word": "ahoy"})
    glue, content = kind.glue
    environment = {
        "volume": {"sizeLimit": "64Mi"},
        "files": [GREETING, {"path": glue, "content": content}],
        "glueCode": {"source": f"/shared/{glue}"},
        "setup": [{"name": "mark", "command": ["sh", "-c", "date +%s > /shared/prepared-at"]}],
        "sdk": kind.sdk(kind.package),
        "variables": [
            {"name": "GREETING", "valueFrom": {"secretKeyRef": {"name": "greetings", "key": "word"}}},
            {"name": "HARBOUR", "value": "Kiel"},
            {"name": "MY_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
    }
    spec = kind.spec(harbour, site.images, environment)
    agent = harbour.create(f"{kind.name}-agent", spec, security=RESTRICTED)
    agent.wait_phase("Running")
    return Moored(kind, agent)


def mounts(container: Document) -> dict[str, bool]:
    """Whether each mounted volume is read-only there, by name."""
    return {mount["name"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}


def test_should_create_shared_volume(moored: Moored) -> None:
    agent = moored.agent
    spec = agent.pod()["spec"]

    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["shared"]["emptyDir"] == {"sizeLimit": "64Mi"}
    assert mounts(spec["initContainers"][0])["shared"] is False
    assert mounts(spec["containers"][0])["shared"] is True
    assert agent.run("cat", "/shared/greeting.txt") == "ahoy\n"
    with pytest.raises(KubectlError, match="Read-only file system"):
        agent.run("touch", "/shared/mine")


def test_should_execute_init_container_before_main_container(moored: Moored) -> None:
    agent = moored.agent
    status = agent.pod()["status"]

    inits, (main,) = status["initContainerStatuses"], status["containerStatuses"]
    ended, started = inits[-1]["state"]["terminated"], main["state"]["running"]
    codes = {init["name"]: init["state"]["terminated"]["exitCode"] for init in inits}
    assert codes == {"initenv": 0, "initenv-setup": 0}
    assert datetime.fromisoformat(ended["finishedAt"]) <= datetime.fromisoformat(started["startedAt"])
    prepared_at = int(agent.run("cat", "/shared/prepared-at"))
    assert prepared_at <= datetime.fromisoformat(started["startedAt"]).timestamp()
    assert agent.run("cat", "/shared/greeting.txt") == "ahoy\n"
    assert agent.condition("WorkspacePrepared")["reason"] == "Prepared"


def test_should_inject_environment_variables(moored: Moored) -> None:
    agent = moored.agent

    assert agent.said()["greeting"] == "ahoy"
    environment = dict(line.split("=", 1) for line in agent.run("env").splitlines() if "=" in line)
    assert environment["HARBOUR"] == "Kiel"
    assert environment["MY_POD"] == agent.pod()["metadata"]["name"]
    assert environment["AGENT_NAME"] == f"{moored.kind.name}-agent"
    assert environment["AGENT_NAMESPACE"] == agent.namespace.name


def test_should_install_sdks(moored: Moored) -> None:
    agent, runtime = moored.agent, moored.kind.runtime

    assert agent.said()["package"] == "1.2.0"
    folder = {"python": "/shared/sdk/python", "nodejs": "/shared/sdk/nodejs/node_modules"}[runtime]
    installed = agent.run("ls", folder).split()
    assert {"python": {"berth_sdk.py", "berth_core.py"}, "nodejs": {"berth-sdk"}}[runtime] <= set(installed)
    assert "packages" in agent.condition("WorkspacePrepared")["message"]


def test_should_inject_glue_code(moored: Moored) -> None:
    name, content = moored.kind.glue

    assert moored.agent.said()["glued"] == "before the first line"
    assert moored.agent.run("cat", f"/shared/{name}") == content


@pytest.mark.parametrize("kind", KINDS[1:], ids=lambda kind: kind.name)
def test_code_comes_from_a_git_server(
    restricted: Namespace, site: Site, kind: Kind, git_server: GitServer, git_folder: Path
) -> None:
    repository = Repository(git_folder / "harbour")
    pinned = repository.commit(**{f"src/{name}": content for name, content in kind.files().items()})
    repository.commit(**{f"src/{name}": "a later, broken version (" for name in kind.files()})
    source = {"type": "git", "repository": git_server.url("harbour"), "revision": pinned, "path": "/src"}
    code = {"type": "code", "code": {"runtime": kind.runtime, "source": source}}

    agent = restricted.create("from-git", code, security=RESTRICTED)

    agent.wait_phase("Running")
    assert agent.said() == {"glued": None, "greeting": None, "package": None}
    (file,) = kind.files()
    assert agent.run("cat", f"/shared/code/{file}") == kind.files()[file]


@pytest.mark.usefixtures("indexes")
@pytest.mark.parametrize("kind", KINDS[1:], ids=lambda kind: kind.name)
def test_a_missing_package_is_named_with_a_cure_and_an_edit_mends_it(
    restricted: Namespace, site: Site, kind: Kind
) -> None:
    wrong = kind.sdk("no-such-package")
    agent = restricted.create("mended", kind.spec(restricted, site.images, {"sdk": wrong}), security=RESTRICTED)

    failed = agent.wait_condition("WorkspacePrepared", "False", "PackageNotFound")

    assert "no-such-package" in failed["message"]
    assert "Check the spelling of the package" in failed["message"]
    assert agent.wait_phase("Failed")["reason"] == "PackageNotFound"
    assert not [one for one in agent.pods() if one["status"]["phase"] == "Running"]

    agent.patch({"spec": {"agent": {"environment": {"sdk": {"packages": [kind.package]}}}}})

    agent.wait_phase("Running")
    assert agent.condition("WorkspacePrepared")["status"] == "True"
    assert agent.said()["package"] == "1.2.0"


def test_an_agent_waits_for_its_config_map_and_says_so(restricted: Namespace, site: Site) -> None:
    source = {"type": "local", "configMap": "code"}
    code = {"type": "code", "code": {"runtime": "python", "source": source}}
    agent = restricted.create("hello", code, security=RESTRICTED)

    missing = agent.wait_condition("Ready", "False", "ConfigMapMissing")

    assert '"code" not found' in missing["message"]
    restricted.config_map("code", KINDS[1].files())
    agent.wait_phase("Running")
