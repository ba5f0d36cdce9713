"""Step 2: the init container, the shared volume and the environment."""

import json

import pytest
import yaml
from integration.api import AGENTS, Document
from integration.cluster import ROOT
from integration.kubelet import ON_HAND, Kubelet, ended, running, waiting
from integration.namespace import NGINX, Namespace, condition

from agent_api.initreport import InitError, InitFault, InitReport

pytestmark = pytest.mark.step2

FILES = [{"path": "words.txt", "content": "one"}]
GLUE = {
    "glueCode": {"source": "/shared/gluecode.py"},
    "files": [{"path": "gluecode.py", "content": "print('glue')"}],
}


async def plan_of(namespace: Namespace, name: str) -> Document:
    """What the init container is told to do."""
    config = await namespace.finds("configmaps", f"{name}-berth")
    plan: Document = json.loads(config["data"]["init.json"])
    return plan


async def pod_spec(namespace: Namespace, name: str) -> Document:
    """The spec of an agent's only Pod."""
    (pod,) = await namespace.has_pods(name)
    spec: Document = pod["spec"]
    return spec


def mounts(container: Document) -> dict[str, bool]:
    """Whether each mounted path is read-only."""
    return {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}


def variables(container: Document) -> dict[str, str]:
    """Literal variables of a container."""
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


async def test_should_create_shared_volume(namespace: Namespace) -> None:
    """Should create shared volume."""
    environment = {"volume": {"sizeLimit": "3Gi"}, "files": FILES}
    await namespace.create("sharer", agent={**NGINX, "environment": environment})

    spec = await pod_spec(namespace, "sharer")

    assert {"name": "shared", "emptyDir": {"sizeLimit": "3Gi"}} in spec["volumes"]
    assert mounts(spec["initContainers"][0])["/shared"] is False
    assert mounts(spec["containers"][0])["/shared"] is True


async def test_should_execute_init_container_before_main_container(namespace: Namespace, kubelet: Kubelet) -> None:
    """Should execute init container before main container."""
    await namespace.create("orderly", agent={**NGINX, "environment": {"files": FILES}}, resources=ON_HAND)
    (pod,) = await namespace.has_pods("orderly")
    name = await kubelet.take(pod)

    await kubelet.report(name, "Pending", init={"initenv": running()}, main={"agent": waiting("PodInitializing")})
    preparing = await namespace.reaches("orderly", "Pending")
    prepared = condition(preparing, "WorkspacePrepared")
    assert (prepared["status"], prepared["reason"]) == ("Unknown", "Preparing")

    report = InitReport(agent="orderly", outcome="succeeded", seconds=1.25, versions={"requests": "2.32.0"}).line()
    init = {"initenv": ended(0, message=report)}
    await kubelet.report(name, "Running", init=init, main={"agent": running()}, ready=True)
    agent = await namespace.reaches("orderly", "Running", ready="True")
    prepared = condition(agent, "WorkspacePrepared")
    assert (prepared["status"], prepared["reason"]) == ("True", "Prepared")
    assert prepared["message"] == "prepared in 1.2 s, 1 packages"


async def test_failed_preparation_says_step_cause_and_cure(namespace: Namespace, kubelet: Kubelet) -> None:
    environment = {"sdk": {"runtime": "python", "packages": ["reqests"]}}
    await namespace.create("misspelt", agent={**NGINX, "environment": environment}, resources=ON_HAND)
    (pod,) = await namespace.has_pods("misspelt")
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

    agent = await namespace.reaches("misspelt", "Failed", ready="False")
    assert agent["status"]["reason"] == "PackageNotFound"
    assert agent["status"]["message"] == "packages: no package reqests in the index. Did you mean requests?"
    assert condition(agent, "WorkspacePrepared")["status"] == "False"


async def test_should_inject_environment_variables(namespace: Namespace) -> None:
    """Should inject environment variables."""
    own = [
        {"name": "MODE", "value": "quiet"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}},
    ]
    await namespace.create("talker", agent={**NGINX, "environment": {"variables": own}})

    (agent,) = (await pod_spec(namespace, "talker"))["containers"]

    assert (
        variables(agent).items()
        >= {
            "MODE": "quiet",
            "AGENT_NAME": "talker",
            "AGENT_NAMESPACE": namespace.name,
            "AGENT_WORKSPACE": "/workspace",
        }.items()
    )
    assert own[1] in agent["env"]
    assert [entry["name"] for entry in agent["env"]][-2:] == ["MODE", "KEY"]


async def test_should_install_sdks(namespace: Namespace) -> None:
    """Should install SDKs."""
    environment = {"sdk": {"runtime": "python", "version": "3.12", "packages": ["requests", "pandas==2.2.*"]}}
    await namespace.create("equipped", agent={**NGINX, "environment": environment})

    packages = (await plan_of(namespace, "equipped"))["packages"]
    spec = await pod_spec(namespace, "equipped")

    assert packages["requirements"] == ["requests", "pandas==2.2.*"]
    assert (packages["runtime"], packages["version"]) == ("python", "3.12")
    assert variables(spec["containers"][0])["PYTHONPATH"] == "/shared/sdk/python"


async def test_should_inject_glue_code(namespace: Namespace) -> None:
    """Should inject glue code."""
    await namespace.create("glued", agent={**NGINX, "environment": GLUE})

    plan = await plan_of(namespace, "glued")
    spec = await pod_spec(namespace, "glued")

    assert plan["glue"]["source"] == "/shared/gluecode.py"
    assert plan["files"][0]["path"] == "/shared/gluecode.py"
    assert variables(spec["containers"][0])["PYTHONPATH"] == "/shared/glue"


@pytest.mark.parametrize("runtime, image", [("python", "python:3.13-slim"), ("nodejs", "node:22-slim")])
async def test_code_agent_runs_in_the_image_of_its_runtime(namespace: Namespace, runtime: str, image: str) -> None:
    source = {"type": "git", "repository": "https://git.example.com/scribe"}
    await namespace.create(
        "scribe", agent={"type": "code", "image": None, "code": {"source": source, "runtime": runtime}}
    )

    (container,) = (await pod_spec(namespace, "scribe"))["containers"]

    assert container["image"].endswith(image)
    assert container["workingDir"] == "/shared/code"
    assert (await plan_of(namespace, "scribe"))["code"]["repository"] == "https://git.example.com/scribe"


async def test_order_of_everything_is_that_of_the_spec(namespace: Namespace) -> None:
    """The same spec gives the same Pod, field by field, whatever the server has made of it in between."""
    document = yaml.safe_load((ROOT / "libs/render/tests/agents/code-python.yaml").read_text())
    del document["metadata"]["namespace"]
    await namespace.api.create(AGENTS, document)
    first = await namespace.finds("deployments", "scribe")
    twin = {**document, "metadata": {"name": "scribe-2"}}
    await namespace.api.create(AGENTS, twin)
    second = await namespace.finds("deployments", "scribe-2")

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
