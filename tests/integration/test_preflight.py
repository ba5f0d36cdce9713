"""`agentberth install`, `check` and `uninstall` against a real API server, which is broken in turn."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.kubectl import Document, Kubectl
from integration.api import define_agents
from integration.cluster import Cluster, start_cluster, stop_cluster, write_kubeconfig
from integration.operating import free_port
from integration.waiting import eventually

pytestmark = pytest.mark.timeout(300)

AGENTBERTH = Path(sys.executable).with_name("agentberth")
SYSTEM = "agentberth-system"
OPERATOR = "agentberth-operator"
DEFINITION = "agenttypes.agents.example.com"
AGENTS = "harbour"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One of its own: other tests need the definition that is removed here."""
    found = start_cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield found
    finally:
        stop_cluster(found)


class Command:
    """agentberth with a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def __call__(self, *arguments: str, timeout_s: float = 120) -> "subprocess.CompletedProcess[str]":
        direct = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment = {**direct, "KUBECONFIG": str(self._kubeconfig), "NO_COLOR": "1"}
        return subprocess.run(
            [AGENTBERTH, *arguments], env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def done(self, *arguments: str) -> str:
        """The output of a command that must succeed."""
        result = self(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def check(self, *arguments: str, timeout_s: float = 120) -> tuple[bool, list[Document]]:
        """The verdict of `check`, and its findings."""
        result = self("check", "--namespace", AGENTS, "--output", "json", *arguments, timeout_s=timeout_s)
        assert result.stderr == ""
        found = json.loads(result.stdout)
        assert result.returncode == (0 if found["ok"] else 1)
        return found["ok"], found["findings"]


@pytest.fixture(scope="module")
def agentberth(cluster: Cluster) -> Command:
    return Command(cluster.kubeconfig)


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Kubectl:
    """With the namespace of the agents, which enforces PodSecurity."""
    found = Kubectl("kubectl", cluster.kubeconfig)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": AGENTS, "labels": labels}})
    return found


@pytest.fixture
def bare(agentberth: Command, kubectl: Kubectl) -> None:
    """A cluster without Agentberth."""
    if kubectl.find("crd", DEFINITION, "") or kubectl.find("namespace", SYSTEM, ""):
        agentberth.done("uninstall", "--delete-agents")


@pytest.fixture
def installed(agentberth: Command, kubectl: Kubectl) -> None:
    """A cluster with Agentberth."""
    if kubectl.find("deployment", OPERATOR, SYSTEM) is None:
        agentberth.done("install")


def agent(name: str = "tester", **spec: Any) -> Document:
    container = {"type": "container", "image": "nginx:1.27"}
    metadata = {"name": name, "namespace": AGENTS}
    return {
        "apiVersion": "agents.example.com/v1",
        "kind": "AgentType",
        "metadata": metadata,
        "spec": {"agent": container, **spec},
    }


def error_of(findings: list[Document], check: str) -> Document:
    """The one error; it has a cure."""
    found = [one for one in findings if one["level"] == "error"]
    assert [one["check"] for one in found] == [check], found
    assert found[0]["cure"]
    return found[0]


def answers(level: str, check: str, findings: list[Document]) -> bool:
    return any(one["check"] == check and one["level"] == level for one in findings)


@pytest.mark.parametrize(
    "how",
    ["no credentials", "closed port", "unknown name", "no context", "wrong context", "stranger", "foreign authority"],
)
def test_a_cluster_that_cannot_be_reached_is_one_error_with_its_cure(
    how: str, cluster: Cluster, tmp_path: Path
) -> None:
    admin, file = cluster.access, tmp_path / "kubeconfig"
    arguments: tuple[str, ...] = ()
    if how == "no context":
        file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config"}))
    elif how == "closed port":
        write_kubeconfig(file, f"https://127.0.0.1:{free_port()}", token="any")
    elif how == "no credentials":
        write_kubeconfig(file, admin.server, ca=admin.ca)
    elif how == "unknown name":
        write_kubeconfig(file, "https://no-such-cluster.invalid:6443", token="any")
    elif how == "foreign authority":
        write_kubeconfig(file, admin.server, token="any")
    else:
        write_kubeconfig(file, admin.server, ca=admin.ca, token="nobody's")
        arguments = ("--context", "no-such-context") if how == "wrong context" else ()

    is_ok, findings = Command(file).check(*arguments)

    assert not is_ok
    assert len(findings) == 1
    found = error_of(findings, "cluster")
    expected = {
        "closed port": "nothing listens",
        "unknown name": "unknown here",
        "no context": "KUBECONFIG",
        "wrong context": "get-contexts",
        "no credentials": "no credentials",
        "stranger": "log in anew",
        "foreign authority": "trusts another authority",
    }
    assert expected[how] in found["cure"], found


@pytest.mark.usefixtures("bare")
def test_before_it_is_installed_the_check_says_what_to_do(agentberth: Command) -> None:
    is_ok, findings = agentberth.check()

    assert not is_ok
    errors = {one["check"]: one["cure"] for one in findings if one["level"] == "error"}
    assert errors == {"definition": "agentberth install", "operator": "agentberth install"}
    assert answers("ok", "rights", findings)


@pytest.mark.usefixtures("bare")
def test_a_dry_run_is_judged_by_the_server_and_makes_nothing(agentberth: Command, kubectl: Kubectl) -> None:
    said = agentberth.done("install", "--dry-run")

    assert f"namespace/{SYSTEM}" in said
    assert f"deployment.apps/{OPERATOR}" in said
    assert kubectl.find("namespace", SYSTEM, "") is None
    assert kubectl.find("crd", DEFINITION, "") is None


@pytest.mark.usefixtures("bare")
def test_it_installs_what_it_prints_waits_and_changes_nothing_a_second_time(
    agentberth: Command, kubectl: Kubectl
) -> None:
    first = agentberth("install")
    assert first.returncode == 0, first.stderr
    assert "Agentberth is installed in agentberth-system: agent-operator:0.1.0, 2 replicas" in first.stdout
    printed = list(yaml.safe_load_all(agentberth.done("install", "--print")))

    def versions() -> dict[str, str]:
        found = {}
        for one in printed:
            kind, name = one["kind"], one["metadata"]["name"]
            there = kubectl.find(kind, name, one["metadata"].get("namespace", ""))
            assert there is not None, (kind, name)
            found[f"{kind}/{name}"] = str(there["metadata"].get("generation") or there["metadata"]["resourceVersion"])
        return found

    before = versions()
    agentberth.done("install")
    assert versions() == before
    is_ok, findings = agentberth.check()
    assert is_ok, findings
    for check in ("definition", "operator", "rights", "operator-rights", "pod-security"):
        assert answers("ok", check, findings), findings
    strict = agentberth("check", "--strict")
    assert strict.returncode == 1
    assert all(" -> " in line for line in strict.stdout.splitlines() if line.startswith("warning"))


@pytest.mark.usefixtures("installed")
def test_settings_and_registry_reach_the_operator_and_an_upgrade_rolls_it(
    agentberth: Command, kubectl: Kubectl, tmp_path: Path
) -> None:
    settings = tmp_path / "platform.yaml"
    settings.write_text("storageClass: fast\nimages: {memory: mirror.example.com/redis:8}\n")

    agentberth.done("install", "--registry", "registry.example.com/agents", "--settings", str(settings))

    try:
        operator = kubectl.find("deployment", OPERATOR, SYSTEM)
        assert operator is not None
        (container,) = operator["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "registry.example.com/agents/agent-operator:0.1.0"
        platform = kubectl.find("configmap", "agentberth-platform", SYSTEM)
        assert platform is not None
        assert yaml.safe_load(platform["data"]["platform.yaml"]) == {
            "images": {
                "initenv": "agent-initenv:0.1.0",
                "toolproxy": "agent-toolproxy:0.1.0",
                "llmgateway": "agent-llmgateway:0.1.0",
                "memory": "mirror.example.com/redis:8",
            },
            "securityProfile": "restricted",
            "storageClass": "fast",
            "registry": "registry.example.com/agents",
        }
        _, findings = agentberth.check()
        assert "storage class fast, which the platform settings names" in error_of(findings, "storage")["message"]
        assert answers("ok", "images", findings)
    finally:
        agentberth.done("install")
    restored = kubectl.find("configmap", "agentberth-platform", SYSTEM)
    assert restored is not None
    assert "storageClass" not in restored["data"]["platform.yaml"]


@contextmanager
def applied(kubectl: Kubectl, *documents: Document) -> Iterator[None]:
    kubectl.apply(*documents)
    try:
        yield
    finally:
        for one in reversed(documents):
            place = ("-n", one["metadata"]["namespace"]) if "namespace" in one["metadata"] else ()
            kubectl.run("delete", one["kind"], one["metadata"]["name"], "--ignore-not-found", *place)


@contextmanager
def scaled_down(kubectl: Kubectl) -> Iterator[None]:
    kubectl.run("scale", "deployment", OPERATOR, "-n", SYSTEM, "--replicas=0")
    try:
        yield
    finally:
        kubectl.run("scale", "deployment", OPERATOR, "-n", SYSTEM, "--replicas=2")


@contextmanager
def without_a_right(kubectl: Kubectl) -> Iterator[None]:
    role = kubectl.find("clusterrole", OPERATOR, "")
    assert role is not None
    rules = [one for one in role["rules"] if "deployments" not in one["resources"]]
    kubectl.run("patch", "clusterrole", OPERATOR, "--type=merge", "-p", json.dumps({"rules": rules}))
    try:
        yield
    finally:
        kubectl.run("patch", "clusterrole", OPERATOR, "--type=merge", "-p", json.dumps({"rules": role["rules"]}))


@contextmanager
def with_an_older_definition(kubectl: Kubectl) -> Iterator[None]:
    definition = kubectl.find("crd", DEFINITION, "")
    assert definition is not None
    spec = json.loads(json.dumps(definition["spec"]))
    del spec["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["monitoring"]
    patch = [{"op": "replace", "path": "/spec", "value": spec}]
    kubectl.run("patch", "crd", DEFINITION, "--type=json", "--patch-file=/dev/stdin", stdin=json.dumps(patch))
    try:
        yield
    finally:
        patch[0]["value"] = definition["spec"]
        kubectl.run("patch", "crd", DEFINITION, "--type=json", "--patch-file=/dev/stdin", stdin=json.dumps(patch))


@contextmanager
def with_a_range(kubectl: Kubectl) -> Iterator[None]:
    """As OpenShift gives it to each namespace."""
    kubectl.run("annotate", "namespace", AGENTS, "openshift.io/sa.scc.uid-range=1000680000/10000")
    try:
        yield
    finally:
        kubectl.run("annotate", "namespace", AGENTS, "openshift.io/sa.scc.uid-range-")


def second_operator(kubectl: Kubectl) -> Document:
    operator = kubectl.find("deployment", OPERATOR, SYSTEM)
    assert operator is not None
    metadata = {"name": OPERATOR, "namespace": AGENTS, "labels": operator["metadata"]["labels"]}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": operator["spec"]}


def daemon(name: str) -> Document:
    labels = {"app": name}
    pod = {"containers": [{"name": "plugin", "image": "plugin:1"}], "nodeSelector": {"none": "has-this"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def dns() -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "spec": {"selector": {"k8s-app": "kube-dns"}, "ports": [{"port": 53, "protocol": "UDP"}]},
    }


LLM = {"providers": [{"name": "main", "type": "openai", "credentialsSecret": "openai", "config": {"model": "m"}}]}
EMPTY = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "openai", "namespace": AGENTS}}
WITH_CLASS = {"type": "redis", "config": {"persistence": True, "storageClass": "absent"}}

BROKEN: dict[str, tuple[Callable[[Kubectl], Any], str]] = {
    "operator": (scaled_down, "--replicas 2"),
    "operator-rights": (without_a_right, "agentberth install"),
    "user-ids": (with_a_range, "userIds.namespaces.harbour: 1000680000"),
    "definition": (with_an_older_definition, "agentberth install upgrades it"),
    "network-policy": (lambda k: applied(k, daemon("kube-flannel-ds")), "Calico"),
    "dns": (lambda k: applied(k, dns()), "k8s-app=kube-dns"),
    "secrets": (lambda k: applied(k, EMPTY, agent("keyless", llm=LLM)), "--from-literal=api-key=KEY"),
    "storage": (lambda k: applied(k, agent("storing", memory=WITH_CLASS)), "create the class"),
    "pod-security": (lambda k: applied(k, agent("loose", security={"profile": "baseline"})), "restricted"),
}


@pytest.mark.usefixtures("installed")
def test_everything_that_is_broken_is_one_error_with_its_cure(agentberth: Command, kubectl: Kubectl) -> None:
    with ExitStack() as stack:
        for breaking, _ in BROKEN.values():
            stack.enter_context(breaking(kubectl))
        is_ok, findings = agentberth.check()

    assert not is_ok
    errors = {one["check"]: one for one in findings if one["level"] == "error"}
    assert errors.keys() == BROKEN.keys()
    assert len(errors) == sum(one["level"] == "error" for one in findings)
    for check, (_, cure) in BROKEN.items():
        assert cure in errors[check]["cure"], errors[check]
    assert "Secret openai is empty (agent keyless, provider main)" in errors["secrets"]["message"]


@pytest.mark.usefixtures("installed")
def test_a_second_operator_for_the_same_agents_is_an_error_and_is_not_installed(
    agentberth: Command, kubectl: Kubectl
) -> None:
    with applied(kubectl, second_operator(kubectl)):
        _, findings = agentberth.check()
        refused = agentberth("install")

    errors = [one["message"] for one in findings if one["level"] == "error" and one["check"] == "operator"]
    assert f"2 operators work for the same agents: {SYSTEM}/{OPERATOR}, {AGENTS}/{OPERATOR}" in errors
    assert refused.returncode == 1
    assert f"in namespace {AGENTS} is already an operator" in refused.stderr


async def has_unschedulable_pod(kubectl: Kubectl) -> bool:
    conditions = [one for pod in kubectl.list("pods", SYSTEM) for one in pod["status"].get("conditions", ())]
    return any(one["type"] == "PodScheduled" and one["status"] == "False" for one in conditions)


@pytest.mark.usefixtures("installed")
def test_pods_that_no_node_takes_are_named_by_the_check_and_by_the_installation_that_waits(
    agentberth: Command, kubectl: Kubectl
) -> None:
    patch = {"spec": {"template": {"spec": {"nodeSelector": {"none": "has-this"}}}}}
    kubectl.run("patch", "deployment", OPERATOR, "-n", SYSTEM, "--type=merge", "-p", json.dumps(patch))
    try:
        asyncio.run(eventually(lambda: has_unschedulable_pod(kubectl), within_s=90))
        waited = agentberth("install", "--timeout", "3")
        _, findings = agentberth.check()
    finally:
        patch["spec"]["template"]["spec"]["nodeSelector"] = {"none": None}  # type: ignore[dict-item]
        kubectl.run("patch", "deployment", OPERATOR, "-n", SYSTEM, "--type=merge", "-p", json.dumps(patch))

    assert waited.returncode == 1
    assert "the operator is not ready after 3 s: no node takes its Pod" in waited.stderr
    assert "agentberth check" in waited.stderr
    assert any("no node takes its Pod" in one["message"] for one in findings)


@pytest.mark.usefixtures("installed")
def test_somebody_with_few_rights_is_told_which_are_missing(cluster: Cluster, kubectl: Kubectl, tmp_path: Path) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "guest", "namespace": AGENTS}}
    with applied(kubectl, account):
        token = kubectl.run("create", "token", "guest", "-n", AGENTS).strip()
        guest = Command(write_kubeconfig(tmp_path / "guest", cluster.access.server, ca=cluster.access.ca, token=token))
        _, findings = guest.check()
        refused = guest("install")

    rights = next(one for one in findings if one["check"] == "rights")
    assert rights["level"] == "error"
    assert "create agenttypes.agents.example.com" in rights["message"]
    assert answers("skipped", "operator-rights", findings) or answers("skipped", "definition", findings)
    assert all(one["cure"] for one in findings if one["level"] != "ok")
    assert refused.returncode == 1
    assert "forbidden" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.usefixtures("installed")
def test_what_helm_installed_is_left_to_helm(agentberth: Command, kubectl: Kubectl) -> None:
    kubectl.run("annotate", "deployment", OPERATOR, "-n", SYSTEM, "meta.helm.sh/release-name=berth")
    try:
        refused = agentberth("install")
    finally:
        kubectl.run("annotate", "deployment", OPERATOR, "-n", SYSTEM, "meta.helm.sh/release-name-")

    assert refused.returncode == 1
    assert "installed by Helm, as release berth" in refused.stderr
    assert "helm upgrade" in refused.stderr


@pytest.mark.usefixtures("installed")
def test_agents_are_deleted_only_when_it_is_asked_for(agentberth: Command, kubectl: Kubectl) -> None:
    kubectl.apply(agent())

    refused = agentberth("uninstall")
    assert refused.returncode == 1
    assert f"there is 1 agent in the cluster: {AGENTS}/tester" in refused.stderr
    assert "--delete-agents" in refused.stderr
    assert kubectl.find("deployment", OPERATOR, SYSTEM) is not None

    agentberth.done("uninstall", "--dry-run", "--delete-agents")
    assert kubectl.find("agenttype", "tester", AGENTS) is not None

    agentberth.done("uninstall", "--keep-agents")
    assert kubectl.find("agenttype", "tester", AGENTS) is not None
    assert kubectl.find("deployment", OPERATOR, SYSTEM) is None
    assert kubectl.find("clusterrole", OPERATOR, "") is None
    assert kubectl.find("crd", "toolapprovals.agents.example.com", "") is not None

    agentberth.done("uninstall", "--delete-agents")
    assert kubectl.find("crd", DEFINITION, "") is None
    assert kubectl.find("namespace", SYSTEM, "") is None


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("fate", ["--keep-agents", "--delete-agents"])
def test_an_installation_elsewhere_keeps_its_rights(agentberth: Command, kubectl: Kubectl, fate: str) -> None:
    refused = agentberth("uninstall", "--namespace", "elsewhere", fate)

    assert refused.returncode == 1
    assert f"in namespace {SYSTEM} is another installation" in refused.stderr
    assert f"agentberth uninstall --namespace {SYSTEM}" in refused.stderr
    assert kubectl.find("clusterrole", OPERATOR, "") is not None
    assert kubectl.find("crd", "toolapprovals.agents.example.com", "") is not None


@pytest.mark.usefixtures("bare")
def test_a_namespace_that_was_there_is_neither_taken_over_nor_removed(agentberth: Command, kubectl: Kubectl) -> None:
    shared = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shared"}}
    note = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note", "namespace": "shared"}}
    with applied(kubectl, shared, note):
        agentberth.done("install", "--namespace", "shared")
        found = kubectl.find("namespace", "shared", "")
        assert found is not None
        assert "pod-security.kubernetes.io/enforce" not in found["metadata"]["labels"]
        is_ok, findings = agentberth.check()
        assert is_ok, findings
        assert answers("ok", "operator-rights", findings)

        said = agentberth.done("uninstall", "--namespace", "shared")

        assert "namespace shared stays" in said
        assert kubectl.find("configmap", "note", "shared") is not None
        assert kubectl.find("deployment", OPERATOR, "shared") is None


@pytest.mark.usefixtures("bare")
def test_it_takes_over_what_kubectl_applied_of_an_earlier_form(agentberth: Command, cluster: Cluster) -> None:
    asyncio.run(define_agents(cluster, "step1"))

    agentberth.done("install")

    is_ok, findings = agentberth.check()
    assert is_ok, findings


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--registry", "https://registry.example.com"], "is not a host with an optional path"),
        (["--timeout", "0"], "must be a number of seconds"),
        (["--timeout", "soon"], "soon"),
        (["--settings", "absent.yaml"], "absent.yaml"),
    ],
)
def test_a_wrong_choice_is_refused_before_anything_is_asked_of_the_cluster(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    nowhere = Command(write_kubeconfig(tmp_path / "kubeconfig", f"https://127.0.0.1:{free_port()}"))

    refused = nowhere("install", *arguments)

    assert refused.returncode in (1, 2)
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
