"""Every kustomization renders, the API server takes it, and what it deploys keeps the platform's own rules."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from e2e.kubectl import Document, Kubectl, KubectlError
from integration.cluster import ROOT, Cluster
from integration.deploy.kustomizing import DEPLOY, find_kustomizations, render
from integration.monitoring import define, remove

from agent_kube import Resource
from agent_operator import sources
from agent_operator.platform import read_platform

pytestmark = pytest.mark.step1

PAGE = ROOT / "docs" / "reference" / "operator.md"
INSTALL = ROOT / "docs" / "how-to" / "install.md"
OPERATOR, SYSTEM = "agentberth-operator", "agentberth-system"
UNRESTRICTED = frozenset({"agentberth-logging"})  # reads the node's log files, which no level of PodSecurity allows
CHILD_VERBS = frozenset({"get", "list", "watch", "create", "patch", "delete"})
POSSIBLE_ESCALATIONS = frozenset({"bind", "escalate", "impersonate", "approve", "sign"})


PLAIN = find_kustomizations("Kustomization")
COMPONENTS = find_kustomizations("Component")


def label(folder: Path) -> str:
    return str(folder.relative_to(DEPLOY))


@pytest.fixture(params=[*PLAIN, *COMPONENTS], ids=label)
def kustomization(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Each kustomization; a component over the base."""
    folder: Path = request.param
    return with_component(folder, tmp_path) if folder in COMPONENTS else folder


def with_component(component: Path, folder: Path) -> Path:
    """A kustomization of the base with one component."""
    base, added = (os.path.relpath(one, folder.resolve()) for one in (DEPLOY / "base", component))
    if component.name == "cluster-scoped":  # its place is above a namespace of one's own
        (folder / "platform").mkdir()
        inner = {"namespace": "own", "resources": [f"../{base}"]}
        (folder / "platform/kustomization.yaml").write_text(yaml.safe_dump(inner))
        base = "platform"
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [base], "components": [added]}))
    return folder


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    """With the kinds of the Prometheus operator, which deploy/components/monitoring has objects of."""
    asyncio.run(define(cluster))
    yield Kubectl("kubectl", cluster.kubeconfig)
    asyncio.run(remove(cluster))


def make_namespaces(kubectl: Kubectl, documents: list[Document]) -> None:
    """The namespaces that objects are in: a dry run makes none."""
    wanted = {document["metadata"].get("namespace", "default") for document in documents}
    known = {one["metadata"]["name"]: one for one in documents if one["kind"] == "Namespace"}
    bare = {name: {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in wanted}
    kubectl.apply(*{**bare, **known}.values())


def test_the_api_server_takes_it(kustomization: Path, kubectl: Kubectl) -> None:
    documents = render(kustomization)
    make_namespaces(kubectl, documents)

    said = kubectl.run("apply", "-k", str(kustomization), "--dry-run=server", "--validate=strict")
    again = kubectl.run("apply", "-k", str(kustomization), "--dry-run=server", "--server-side", "--field-manager=test")

    assert said.count("\n") == again.count("\n") == len(documents)


def test_rights_are_named_one_by_one(kustomization: Path) -> None:
    rules = [rule for one in render(kustomization) if one["kind"] in {"Role", "ClusterRole"} for rule in one["rules"]]

    for rule in rules:
        words = {*rule["verbs"], *rule["resources"], *rule["apiGroups"]}
        assert "*" not in "".join(words)
        assert "secrets" not in words or rule == {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}
        assert not words & POSSIBLE_ESCALATIONS


def pods_in(documents: list[Document]) -> Iterator[tuple[Document, Document]]:
    """Each workload with the Pod it makes."""
    for one in documents:
        if one["kind"] in {"Deployment", "StatefulSet", "DaemonSet", "Job"}:
            template = one["spec"]["template"]
            yield one, {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]}


def test_containers_have_limits_probes_and_versions(kustomization: Path) -> None:
    for workload, pod in pods_in(render(kustomization)):
        for container in pod["spec"]["containers"]:
            assert (
                {"cpu", "memory"}
                == container["resources"]["requests"].keys()
                == container["resources"]["limits"].keys()
            )
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            name, _, version = container["image"].rpartition(":")
            assert name, f"{container['image']} has no version"
            assert version != "latest"
            if workload["kind"] != "Job":
                assert {"livenessProbe", "readinessProbe"} <= container.keys()


def test_pods_pass_pod_security_restricted(kustomization: Path, kubectl: Kubectl) -> None:
    documents = render(kustomization)
    make_namespaces(kubectl, documents)
    for workload, pod in pods_in(documents):
        namespace = workload["metadata"]["namespace"]
        if namespace in UNRESTRICTED:
            continue
        enforce = "pod-security.kubernetes.io/enforce=restricted"
        kubectl.run("label", "namespace", namespace, enforce, "--overwrite")
        kubectl.apply(*[one for one in documents if one["kind"] == "ServiceAccount"])
        pod["metadata"] |= {"name": "admission-test", "namespace": namespace}
        kubectl.run("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


def test_the_reader_of_log_files_has_nothing_else(tmp_path: Path) -> None:
    documents = render(with_component(DEPLOY / "components" / "logging", tmp_path))
    ((reader, pod),) = [each for each in pods_in(documents) if each[0]["metadata"]["namespace"] in UNRESTRICTED]

    assert reader["kind"] == "DaemonSet"
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod["spec"].keys()
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    paths = {v["name"]: v["hostPath"]["path"] for v in pod["spec"]["volumes"] if "hostPath" in v}
    writable = {m["name"] for m in container["volumeMounts"] if not m.get("readOnly")}
    assert paths == {"logs": "/var/log/pods", "position": "/var/lib/agentberth-logs"}
    assert writable == {"position"}


@pytest.mark.parametrize("component", ["logging", "tracing"])
def test_a_collectors_configuration_defines_what_its_pipelines_use(component: str) -> None:
    config = yaml.safe_load((DEPLOY / "components" / component / "config.yaml").read_text())

    service = config["service"]
    assert set(service["extensions"]) == set(config["extensions"])
    for kind in ("receivers", "processors", "exporters"):
        used = {name for pipeline in service["pipelines"].values() for name in pipeline[kind]}
        assert used == set(config[kind])
        assert used


def test_the_tracing_component_tells_the_operator_of_its_collector(tmp_path: Path) -> None:
    documents = render(with_component(DEPLOY / "components" / "tracing", tmp_path))
    (operator,) = [one for one in documents if one["kind"] == "Deployment" and one["metadata"]["name"] == OPERATOR]
    (service,) = [one for one in documents if one["kind"] == "Service"]
    variables = environment_of(operator)

    address = f"http://{service['metadata']['name']}.{SYSTEM}:{service['spec']['ports'][0]['port']}"
    assert variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == variables["AGENTBERTH_TRACING_ENDPOINT"] == address


def environment_of(workload: Document) -> dict[str, str]:
    """The first container's variables as the kubelet fills them in: from those that stand before."""
    known: dict[str, str] = {}
    for variable in workload["spec"]["template"]["spec"]["containers"][0]["env"]:
        text = variable.get("value", "")
        if variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath") == "metadata.namespace":
            text = workload["metadata"]["namespace"]
        known[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda found: known.get(found[1], found[0]), text)
    return known


def test_the_admission_that_judges_these_pods_does_refuse(kubectl: Kubectl) -> None:
    documents = render(DEPLOY / "base")
    make_namespaces(kubectl, documents)
    kubectl.apply(*[one for one in documents if one["kind"] == "ServiceAccount"])
    ((_, pod),) = pods_in(documents)
    pod["metadata"] |= {"name": "admission-test", "namespace": SYSTEM}
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True

    with pytest.raises(KubectlError, match="violates PodSecurity"):
        kubectl.run("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


@pytest.mark.parametrize("whole", ["base", "overlays/test"])
def test_platform_settings_and_catalogue_are_what_the_operator_reads(whole: str, tmp_path: Path) -> None:
    documents = render(DEPLOY / whole)
    (operator,) = [pod["spec"] for _, pod in pods_in(documents) if pod["spec"]["containers"][0]["name"] == "operator"]
    files = {}
    for argument in operator["containers"][0]["args"]:
        option, _, path = argument.partition("=")
        files[option] = tmp_path / PurePosixPath(path).name
        files[option].write_text(mounted(documents, operator, PurePosixPath(path)))

    platform = read_platform(files["--platform"], files["--catalogue"])

    assert platform.images.initenv
    assert {"git", "jq", "ripgrep", "kubectl", "python", "node"} <= platform.catalogue.keys()


def mounted(documents: list[Document], pod: Document, path: PurePosixPath) -> str:
    """Text of the file that the Pod's first container sees at `path`, from the ConfigMap that is mounted there."""
    (mount,) = [m for m in pod["containers"][0]["volumeMounts"] if m["mountPath"] == str(path.parent)]
    (volume,) = [v for v in pod["volumes"] if v["name"] == mount["name"]]
    name = volume["configMap"]["name"]
    (config,) = [d for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"] == name]
    text: str = config["data"][path.name]
    return text


def rights_of(rules: list[dict[str, Any]]) -> dict[tuple[str, str], frozenset[str]]:
    """Verbs by API group and resource."""
    return {
        (group, resource): frozenset(rule["verbs"])
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def find_rules(documents: list[Document], kind: str, name: str) -> list[dict[str, Any]]:
    (role,) = [one for one in documents if one["kind"] == kind and one["metadata"]["name"] == name]
    rules: list[dict[str, Any]] = role["rules"]
    return rules


def test_the_operator_has_the_rights_that_its_caches_and_children_need_and_no_other() -> None:
    def of(resource: Resource, part: str = "") -> tuple[str, str]:
        return resource.group, "/".join(filter(None, (resource.plural, part)))

    wanted = {
        of(sources.AGENT_TYPES): {"list", "watch"},
        of(sources.AGENT_TYPES, "status"): {"patch"},
        of(sources.AGENT_TYPES, "finalizers"): {"update"},
        of(sources.PODS): {"list", "watch"},
        of(sources.VOLUME_CLAIMS): {"get", "list", "watch", "create", "patch"},
        of(sources.SECRETS): {"create"},
        of(sources.TOOL_APPROVALS): {"list", "watch", "create", "delete"},
        of(sources.TOOL_APPROVALS, "status"): {"patch"},
        of(sources.CORE_EVENTS): {"list"},
        of(sources.REPLICA_SETS): {"list", "watch"},
        of(sources.REVISIONS): {"list", "watch", "create", "patch", "delete"},
        ("events.k8s.io", "events"): {"create", "patch"},
        **{of(source.resource): CHILD_VERBS for source in sources.CHILDREN},
    }

    assert rights_of(find_rules(render(DEPLOY / "base"), "ClusterRole", OPERATOR)) == wanted


def test_namespaced_mode_has_the_same_rights_in_its_namespaces_alone(tmp_path: Path) -> None:
    documents = render(with_component(DEPLOY / "components" / "namespaced", tmp_path))

    bound = [one["roleRef"]["kind"] for one in documents if one["kind"].endswith("RoleBinding") and one["subjects"]]
    assert set(bound) == {"Role"}
    everywhere = find_rules(render(DEPLOY / "base"), "ClusterRole", OPERATOR)
    assert find_rules(documents, "Role", f"{OPERATOR}-agents") == everywhere
    ((_, pod),) = pods_in(documents)
    assert {"name": "AGENTBERTH_NAMESPACES", "value": "agents"} in pod["spec"]["containers"][0]["env"]


def test_two_replicas_survive_a_drain_of_one_node() -> None:
    documents = render(DEPLOY / "base")
    ((deployment, pod),) = pods_in(documents)
    (budget,) = [one for one in documents if one["kind"] == "PodDisruptionBudget"]

    assert deployment["spec"]["replicas"] == 2
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["affinity"]["podAntiAffinity"]


def test_every_right_is_explained_in_the_reference() -> None:
    rows = [line.split("|")[1:5] for line in PAGE.read_text().splitlines() if line.startswith("| `") and "`" in line]
    table = {
        (group.strip(" `"), resource): frozenset(word.strip(" `") for word in verbs.split(","))
        for group, resources, verbs, _ in (row for row in rows if len(row) == 4)
        for resource in (word.strip(" `") for word in resources.split(","))
    }
    documents = render(DEPLOY / "base")
    given = {
        (group or "core", resource): verbs
        for (group, resource), verbs in rights_of(find_rules(documents, "ClusterRole", OPERATOR)).items()
    }

    assert given.items() <= table.items()


@pytest.fixture
def overlays(tmp_path: Path) -> Path:
    """deploy/overlays with those of the installation guide, written as the guide says."""
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    for block in INSTALL.read_text().split("```yaml\n")[1:]:
        place = tmp_path / block.partition("\n")[0].removeprefix("# ")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(block.partition("```")[0])
    return tmp_path / "deploy/overlays"


def test_overlays_of_the_installation_guide_render(overlays: Path) -> None:
    mine = render(overlays / "mine")
    teams = render(overlays / "teams")

    for documents in (mine, teams):
        ((_, pod),) = pods_in(documents)
        assert pod["spec"]["containers"][0]["image"] == "registry.example.com/agents/agent-operator:0.1.0"
    roles = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in teams if one["kind"] == "Role"}
    assert {("agents", f"{OPERATOR}-agents"), ("team-b", f"{OPERATOR}-agents"), (SYSTEM, OPERATOR)} == roles
    ((_, pod),) = pods_in(teams)
    assert {"name": "AGENTBERTH_NAMESPACES", "value": "agents,team-b"} in pod["spec"]["containers"][0]["env"]


def test_the_local_storage_component_gives_claims_its_storage_class() -> None:
    documents = render(DEPLOY / "overlays" / "dev")
    (operator,) = [one for one in documents if one["kind"] == "Deployment" and one["metadata"]["name"] == OPERATOR]
    (made,) = [one["metadata"]["name"] for one in documents if one["kind"] == "StorageClass"]
    env = {entry["name"]: entry.get("value") for entry in operator["spec"]["template"]["spec"]["containers"][0]["env"]}

    assert env["AGENTBERTH_STORAGE_CLASS"] == made


CLUSTER_SCOPED = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "Namespace",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
)


@pytest.fixture(params=["acme", "second"])
def own(request: pytest.FixtureRequest, overlays: Path) -> Path:
    """The guide's overlays with a namespace, a prefix, labels, nodes and resources of their own."""
    return overlays / str(request.param)


def test_the_api_server_takes_an_installation_in_a_namespace_of_its_own(own: Path, kubectl: Kubectl) -> None:
    documents = render(own)
    make_namespaces(kubectl, documents)

    said = kubectl.run("apply", "-k", str(own), "--dry-run=server", "--validate=strict")

    assert said.count("\n") == len(documents)


def test_a_namespace_of_its_own_is_everywhere_and_on_nothing_that_has_none(own: Path) -> None:
    documents = render(own)

    text = yaml.safe_dump_all(documents)
    assert SYSTEM not in text
    for one in documents:
        assert ("namespace" in one["metadata"]) is (one["kind"] not in CLUSTER_SCOPED), one["metadata"]["name"]
        for subject in one.get("subjects", ()):
            assert ("ServiceAccount", subject["namespace"], subject["name"]) in map(identity, documents)


def test_everything_of_an_own_installation_finds_the_rest_of_it(overlays: Path) -> None:
    documents = render(overlays / "acme")
    named = {(one["kind"], one["metadata"]["name"]): one for one in documents}
    operator = named["Deployment", "acme-agentberth-operator"]
    pod = operator["spec"]["template"]

    assert (
        environment_of(operator)["AGENTBERTH_TRACING_ENDPOINT"] == "http://acme-agentberth-collector.acme-agents:4318"
    )
    assert ("Service", "acme-agentberth-collector") in named
    assert pod["spec"]["containers"][0]["image"] == "registry.acme.example/agents/agent-operator:0.1.0"
    assert pod["spec"]["nodeSelector"] == {"pool": "platform"}
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "1Gi"
    assert pod["metadata"]["labels"]["cost-centre"] == "4711"
    console = named["Deployment", "acme-agentberth-console"]["spec"]["template"]
    assert console["spec"]["containers"][0]["image"] == "registry.acme.example/agents/agentberth:0.1.0"
    assert ("ServiceAccount", console["spec"]["serviceAccountName"]) in named
    for name in ("acme-agentberth-console", "acme-agentberth-console-calls"):
        assert named["ClusterRoleBinding", name]["roleRef"]["name"] == name
    assert console["metadata"]["labels"]["cost-centre"] == "4711"
    for volume in pod["spec"]["volumes"]:
        assert ("ConfigMap", volume["configMap"]["name"]) in named
    for name in ("acme-agentberth-strong-roles", "acme-agentberth-strong-cluster-roles"):
        assert named["ValidatingAdmissionPolicyBinding", name]["spec"]["policyName"] == name


def test_two_installations_share_the_definition_and_nothing_else(overlays: Path) -> None:
    first, second = ({identity(one) for one in render(overlays / name)} for name in ("mine", "second"))

    assert not first & second
    assert ("CustomResourceDefinition", "", "agenttypes.agents.example.com") in first


def identity(one: Document) -> tuple[str, str, str]:
    return one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]


def test_no_configuration_or_dashboard_says_the_operators_namespace() -> None:
    """Kustomize renames what it knows of, and no text inside of a ConfigMap."""
    texts = [*(DEPLOY / "components").rglob("*.json"), *(DEPLOY / "components").rglob("config.yaml")]

    assert len(texts) > 5
    assert not [file for file in texts if SYSTEM in file.read_text()]
