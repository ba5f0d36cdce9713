"""The Helm chart, rendered by Helm itself, deploys what the kustomize base and its components do."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import yaml
from e2e.kubectl import Document, Kubectl
from integration.cluster import ROOT, Cluster
from integration.deploy.kustomizing import DEPLOY, render
from integration.monitoring import define, remove

CHART = ROOT / "charts" / "agentberth"
SYSTEM = "agentberth-system"
GENERATED_NAME = re.compile(r"\b(agentberth-(?:platform|catalogue))-[a-z0-9]{10}\b")
PARTS = {"network-policy": "networkPolicy", "monitoring": "monitoring", "console": "console"}
"""Components, and what the chart calls them."""
OWN: Document = {
    "namePrefix": "acme-",
    "labels": {"cost-centre": "4711"},
    "crds": {"install": False},
    "watchNamespaces": ["agents", "team-b"],
    "networkPolicy": {"enabled": True},
    "monitoring": {"enabled": True},
    "console": {"enabled": True, "image": {"repository": "registry.acme.example/agentberth", "tag": "9"}},
    "platform": {"registry": "registry.acme.example/agents"},
    "operator": {
        "replicas": 3,
        "image": {"repository": "registry.acme.example/agent-operator", "digest": f"sha256:{'a' * 64}"},
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"pool": "platform"},
        "tolerations": [{"key": "dedicated", "value": "platform"}],
        "priorityClassName": "system-cluster-critical",
        "podLabels": {"tier": "operators"},
        "podAnnotations": {"note": "a"},
        "env": [{"name": "AGENTBERTH_LOG_LEVEL", "value": "debug"}],
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    },
}


def template(values: Document, namespace: str = SYSTEM) -> list[Document]:
    """The objects, as `helm install` would send them."""
    with helm.Chart.load(CHART) as chart:
        texts = chart.render(values, name="agentberth", namespace=namespace)
    found = [one for name, text in texts.items() if name.endswith(".yaml") for one in yaml.safe_load_all(text)]
    return [one for one in found if one]


def identity(one: Document) -> tuple[str, str, str]:
    return one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]


def comparable(one: Document) -> Document:
    """Without what differs by nature: hashes in generated names, how a change rolls Pods, and how text is folded."""
    document: Document = json.loads(GENERATED_NAME.sub(r"\1", json.dumps(one)))
    document["metadata"].pop("annotations", None)
    if one["kind"] == "Deployment":
        document["spec"]["template"]["metadata"].pop("annotations", None)
    if one["kind"] == "ConfigMap":
        document["data"] = {name: yaml.safe_load(text) for name, text in document["data"].items()}
    return unfolded(document) if one["kind"].startswith("Validating") else document


def unfolded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: unfolded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [unfolded(inner) for inner in value]
    return " ".join(value.split()) if isinstance(value, str) else value


def compared(objects: list[Document]) -> dict[tuple[str, str, str], Document]:
    found = [comparable(one) for one in objects if one["kind"] != "Namespace"]
    return {identity(one): one for one in found}


def test_helm_finds_no_fault_in_the_chart() -> None:
    found = helm.lint(CHART)

    assert found["errors"] == []
    assert [one["error"] for one in found["messages"]] == ["icon is recommended"]


def test_without_values_the_chart_is_the_base() -> None:
    assert compared(template({})) == compared(render(DEPLOY / "base"))


def test_with_its_parts_switched_on_the_chart_is_the_base_with_components(tmp_path: Path) -> None:
    copied = tmp_path / "kustomization.yaml"
    up = "../" * (len(tmp_path.resolve().parts) - 1)
    parts = [f"{up}{DEPLOY}/components/{name}".replace("//", "/") for name in PARTS]
    copied.write_text(yaml.safe_dump({"resources": [f"{up}{DEPLOY}/base".replace("//", "/")], "components": parts}))

    assert compared(template({value: {"enabled": True} for value in PARTS.values()})) == compared(render(tmp_path))


def test_values_reach_the_operator_and_every_object() -> None:
    objects = template(OWN, "acme-agents")
    named = {identity(one): one for one in objects}
    operator = named["Deployment", "acme-agents", "acme-agentberth-operator"]
    pod = operator["spec"]["template"]
    (container,) = pod["spec"]["containers"]

    assert SYSTEM not in json.dumps(objects)
    assert not [one for one in objects if one["kind"] == "CustomResourceDefinition"]
    assert not [one for one in objects if "__" in json.dumps({**one, "data": None})]
    assert all(one["metadata"]["labels"]["cost-centre"] == "4711" for one in objects)
    assert all(one["metadata"]["name"].startswith("acme-") for one in objects)
    assert operator["spec"]["replicas"] == 3
    assert container["image"] == f"registry.acme.example/agent-operator@sha256:{'a' * 64}"
    assert container["resources"] == OWN["operator"]["resources"]
    variables = {one["name"]: one.get("value") for one in container["env"]}
    assert variables["AGENTBERTH_NAMESPACES"] == "agents,team-b"
    assert variables["AGENTBERTH_LOG_LEVEL"] == "debug"
    for name in ("imagePullSecrets", "nodeSelector", "tolerations", "priorityClassName"):
        assert pod["spec"][name] == OWN["operator"][name]
    assert pod["metadata"]["labels"].items() >= {"tier": "operators", "cost-centre": "4711"}.items()
    assert pod["metadata"]["annotations"]["note"] == "a"
    console = named["Deployment", "acme-agents", "acme-agentberth-console"]["spec"]["template"]
    assert console["spec"]["containers"][0]["image"] == "registry.acme.example/agentberth:9"
    assert console["spec"]["serviceAccountName"] == "acme-agentberth-console"
    assert console["metadata"]["labels"].items() >= {"cost-centre": "4711"}.items()
    platform = named["ConfigMap", "acme-agents", "acme-agentberth-platform"]["data"]["platform.yaml"]
    assert yaml.safe_load(platform)["registry"] == "registry.acme.example/agents"


def test_in_namespaced_mode_no_right_reaches_beyond_the_namespaces() -> None:
    objects = template({**OWN, "console": {}}, "acme-agents")

    bound = [one for one in objects if one["kind"].endswith("Binding") and "subjects" in one]
    assert {one["kind"] for one in bound} == {"RoleBinding"}
    assert {one["metadata"]["namespace"] for one in bound} == {"acme-agents", "agents", "team-b"}
    for one in bound:
        assert one["subjects"] == [
            {"kind": "ServiceAccount", "name": "acme-agentberth-operator", "namespace": "acme-agents"}
        ]


def test_a_change_of_the_platform_rolls_the_operator_and_nothing_else_does() -> None:
    def annotations(values: Document) -> Document:
        (operator,) = [one for one in template(values) if one["kind"] == "Deployment"]
        found: Document = operator["spec"]["template"]["metadata"]["annotations"]
        return found

    assert annotations({}) == annotations({"labels": {"a": "b"}})
    assert annotations({}) != annotations({"platform": {"registry": "mirror.example.com"}})


def test_the_definition_stays_when_the_release_is_removed() -> None:
    definitions = [one for one in template({}) if one["kind"] == "CustomResourceDefinition"]

    assert len(definitions) == 2
    for definition in definitions:
        assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    """With the kinds of the Prometheus operator."""
    asyncio.run(define(cluster))
    yield Kubectl("kubectl", cluster.kubeconfig)
    asyncio.run(remove(cluster))


@pytest.mark.parametrize("values, namespace", [({}, SYSTEM), (OWN, "acme-agents")], ids=["default", "own"])
def test_the_api_server_takes_what_helm_sends(
    values: Document, namespace: str, kubectl: Kubectl, tmp_path: Path
) -> None:
    objects = template(values, namespace)
    wanted = {one["metadata"]["namespace"] for one in objects if "namespace" in one["metadata"]}
    kubectl.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in wanted))
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects))

    said = kubectl.run("apply", "-f", str(file), "--dry-run=server", "--server-side", "--validate=strict")

    assert said.count("\n") == len(objects)


def test_the_chart_is_of_this_release() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (ROOT / "cli/pyproject.toml").read_text()

    assert f'version = "{chart["version"]}"' in project
    assert chart["version"] == chart["appVersion"]
