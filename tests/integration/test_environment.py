"""Step 2: the init container, the shared volume and the environment."""

import json

import pytest
import yaml
from integration.api import AGENTS, Document
from integration.cluster import ROOT
from integration.kubelet import ON_HAND, Kubelet, ended, running, waiting
from integration.team import NGINX, Team, condition

from agent_api.initreport import InitError, InitFault, InitReport

pytestmark = pytest.mark.step2

FILES = [{"path": "words.txt", "content": "one"}]
GLUE = {
    "glueCode": {"source": "/shared/gluecode.py"},
    "files": [{"path": "gluecode.py", "content": "print('glue')"}],
}


async def plan_of(team: Team, name: str) -> Document:
    """What the init container is told to do."""
    config = await team.finds("configmaps", f"{name}-berth")
    plan: Document = json.loads(config["data"]["init.json"])
    return plan


async def pod_spec(team: Team, name: str) -> Document:
    """The spec of an agent's only Pod."""
    (pod,) = await team.has_pods(name)
    spec: Document = pod["spec"]
    return spec


def mounts(container: Document) -> dict[str, bool]:
    """Whether each mounted path is read-only."""
    return {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}


def variables(container: Document) -> dict[str, str]:
    """Literal variables of a container."""
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


async def test_should_create_shared_volume(team: Team) -> None:
    """Should create shared volume."""
    environment = {"volume": {"sizeLimit": "3Gi"}, "files": FILES}
    await team.create("sharer", agent={**NGINX, "environment": environment})

    spec = await pod_spec(team, "sharer")

    assert {"name": "shared", "emptyDir": {"sizeLimit": "3Gi"}} in spec["volumes"]
    assert mounts(spec["initContainers"][0])["/shared"] is False
    assert mounts(spec["containers"][0])["/shared"] is True


async def test_should_execute_init_container_before_main_container(team: Team, kubelet: Kubelet) -> None:
    """Should execute init container before main container."""
    await team.create("orderly", agent={**NGINX, "environment": {"files": FILES}}, resources=ON_HAND)
    (pod,) = await team.has_pods("orderly")
    name = await kubelet.take(pod)

    await kubelet.report(name, "Pending", init={"initenv": running()}, main={"agent": waiting("PodInitializing")})
    preparing = await team.reaches("orderly", "Pending")
    prepared = condition(preparing, "WorkspacePrepared")
    assert (prepared["status"], prepared["reason"]) == ("Unknown", "Preparing")

    report = InitReport(agent="orderly", outcome="succeeded", seconds=1.25, versions={"requests": "2.32.0"}).line()
    init = {"initenv": ended(0, message=report)}
    await kubelet.report(name, "Running", init=init, main={"agent": running()}, ready=True)
    agent = await team.reaches("orderly", "Running", ready="True")
    prepared = condition(agent, "WorkspacePrepared")
    assert (prepared["status"], prepared["reason"]) == ("True", "Prepared")
    assert prepared["message"] == "prepared in 1.2 s, 1 packages"


async def test_failed_preparation_says_step_cause_and_cure(team: Team, kubelet: Kubelet) -> None:
    environment = {"sdk": {"runtime": "python", "packages": ["reqests"]}}
    await team.create("misspelt", agent={**NGINX, "environment": environment}, resources=ON_HAND)
    (pod,) = await team.has_pods("misspelt")
    name = await kubelet.take(pod)

    fault = InitError(
        step="packages",
        fault=InitFault.PACKAGE_NOT_FOUND,
        cause="no package reqests in the index.",
        cure="Did you mean requests?",
    )
    report = InitReport(agent="misspelt", outcome="failed", seconds=0.4, error=fault).line()
    init = {"initenv": ended(1, message=report)}
    await kubelet.report(name, "Pending", init=init, main={"agent": waiting("PodInitializing")})

    agent = await team.reaches("misspelt", "Failed", ready="False")
    assert agent["status"]["reason"] == "PackageNotFound"
    assert agent["status"]["message"] == "packages: no package reqests in the index. Did you mean requests?"
    assert condition(agent, "WorkspacePrepared")["status"] == "False"


async def test_should_inject_environment_variables(team: Team) -> None:
    """Should inject environment variables."""
    own = [
        {"name": "MODE", "value": "quiet"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}},
    ]
    await team.create("talker", agent={**NGINX, "environment": {"variables": own}})

    (agent,) = (await pod_spec(team, "talker"))["containers"]

    assert (
        variables(agent).items()
        >= {
            "MODE": "quiet",
            "AGENT_NAME": "talker",
            "AGENT_NAMESPACE": team.namespace,
            "AGENT_WORKSPACE": "/workspace",
        }.items()
    )
    assert own[1] in agent["env"]
    assert [entry["name"] for entry in agent["env"]][-2:] == ["MODE", "KEY"]


async def test_should_install_sdks(team: Team) -> None:
    """Should install SDKs."""
    environment = {"sdk": {"runtime": "python", "version": "3.12", "packages": ["requests", "pandas==2.2.*"]}}
    await team.create("equipped", agent={**NGINX, "environment": environment})

    packages = (await plan_of(team, "equipped"))["packages"]
    spec = await pod_spec(team, "equipped")

    assert packages["requirements"] == ["requests", "pandas==2.2.*"]
    assert (packages["runtime"], packages["version"]) == ("python", "3.12")
    assert variables(spec["containers"][0])["PYTHONPATH"] == "/shared/sdk/python"


async def test_should_inject_glue_code(team: Team) -> None:
    """Should inject glue code."""
    await team.create("glued", agent={**NGINX, "environment": GLUE})

    plan = await plan_of(team, "glued")
    spec = await pod_spec(team, "glued")

    assert plan["glue"]["source"] == "/shared/gluecode.py"
    assert plan["files"][0]["path"] == "/shared/gluecode.py"
    assert variables(spec["containers"][0])["PYTHONPATH"] == "/shared/glue"


@pytest.mark.parametrize("runtime, image", [("python", "python:3.13-slim"), ("nodejs", "node:22-slim")])
async def test_code_agent_runs_in_the_image_of_its_runtime(team: Team, runtime: str, image: str) -> None:
    source = {"type": "git", "repository": "https://git.example.com/scribe"}
    await team.create("scribe", agent={"type": "code", "image": None, "code": {"source": source, "runtime": runtime}})

    (container,) = (await pod_spec(team, "scribe"))["containers"]

    assert container["image"].endswith(image)
    assert container["workingDir"] == "/shared/code"
    assert (await plan_of(team, "scribe"))["code"]["repository"] == "https://git.example.com/scribe"


async def test_order_of_everything_is_that_of_the_spec(team: Team) -> None:
    """The same spec gives the same Pod, field by field, whatever the server has made of it in between."""
    document = yaml.safe_load((ROOT / "libs/render/tests/agents/code-python.yaml").read_text())
    del document["metadata"]["namespace"]
    await team.api.create(AGENTS, document)
    first = await team.finds("deployments", "scribe")
    twin = {**document, "metadata": {"name": "scribe-2"}}
    await team.api.create(AGENTS, twin)
    second = await team.finds("deployments", "scribe-2")

    def shape(deployment: Document) -> list[object]:
        spec = deployment["spec"]["template"]["spec"]
        containers = [*spec["initContainers"], *spec["containers"]]
        listed = [
            [c["name"], [e["name"] for e in c.get("env", [])], [m["name"] for m in c["volumeMounts"]]]
            for c in containers
        ]
        return [listed, [volume["name"] for volume in spec["volumes"]]]

    assert shape(first) == shape(second)
    env = first["spec"]["template"]["spec"]["containers"][0]["env"]
    own = [entry["name"] for entry in document["spec"]["agent"]["environment"]["variables"]]
    assert [entry["name"] for entry in env if entry["name"] in {"MODE", "SESSION_KEY"}] == [own[0], own[2]]
