"""Step 5: the admission policies of deploy/base keep agents' ServiceAccounts from strong roles."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from integration.api import APPLY, Document, RefusedError, open_api
from integration.cluster import ROOT, Cluster
from integration.namespace import Namespace
from integration.waiting import eventually

pytestmark = pytest.mark.step5

POLICIES = ROOT / "deploy" / "base" / "policies"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
CURE = "label this binding agents.example.com/strong-role=allowed if it is meant"


def documents() -> list[Document]:
    files = [POLICIES / "strong-cluster-roles.yaml", POLICIES / "strong-roles.yaml"]
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def account(name: str = "web-agent") -> Document:
    return {"kind": "ServiceAccount", "name": name}


async def bind(
    namespace: Namespace, role: str, subject: Document, *, kind: str = "ClusterRole", **metadata: Any
) -> None:
    """Tries a RoleBinding; nothing is kept. Raises RefusedError."""
    subject = {**subject, **({"namespace": namespace.name} if subject["kind"] == "ServiceAccount" else {})}
    binding = {
        "metadata": {"name": "try", **metadata},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [subject],
    }
    path = f"{RBAC}/namespaces/{namespace.name}/rolebindings"
    await namespace.api.call("POST", path, binding, query={"dryRun": "All"})


async def refusal(namespace: Namespace, role: str, *, kind: str) -> str:
    """The server's words when an agent is bound to a role, "" when it takes the binding."""
    try:
        await bind(namespace, role, account(), kind=kind)
    except RefusedError as error:
        return error.message
    return ""


async def make_role(namespace: Namespace, name: str, *rules: Document) -> None:
    """A Role, once the policies know of it."""
    body = {"metadata": {"name": name}, "rules": list(rules)}
    await namespace.api.call("POST", f"{RBAC}/namespaces/{namespace.name}/roles", body)


def rule(resources: str, *verbs: str, group: str = "", **more: Any) -> Document:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": list(verbs), **more}


async def enforce(cluster: Cluster, *, wanted: bool) -> None:
    """Applies the policies, or takes them away."""
    async with open_api(cluster.access, "default") as api:
        for document in documents():
            path = f"{ADMISSION}/{PLURALS[document['kind']]}/{document['metadata']['name']}"
            if wanted:
                await api.call("PATCH", path, document, media=APPLY, query={"fieldManager": "test", "force": "true"})
            else:
                await api.call("DELETE", path)


@pytest.fixture(scope="module")
def in_force(cluster: Cluster) -> Iterator[None]:
    """The policies, as long as the tests of this module run."""
    asyncio.run(enforce(cluster, wanted=True))
    yield
    asyncio.run(enforce(cluster, wanted=False))


@pytest.fixture
async def guarded(in_force: None, own_namespace: Namespace) -> Namespace:
    """A namespace in which both policies answer."""
    await make_role(own_namespace, "first", rule("configmaps", "*"))

    async def refused() -> bool:
        said = [
            await refusal(own_namespace, role, kind=kind)
            for kind, role in (("ClusterRole", "admin"), ("Role", "first"))
        ]
        return all("agents may not have" in each for each in said)

    await eventually(refused)
    return own_namespace


@pytest.mark.parametrize(
    "role, why",
    [("cluster-admin", "it has a wildcard"), ("admin", "it can change rights"), ("edit", "it can change rights")],
)
async def test_an_agent_is_not_bound_to_a_strong_cluster_role(guarded: Namespace, role: str, why: str) -> None:
    with pytest.raises(RefusedError) as error:
        await bind(guarded, role, account())

    assert error.value.status == 403
    assert f"agents may not have the ClusterRole {role}: {why}" in error.value.message
    assert CURE in error.value.message


async def test_nor_cluster_wide(guarded: Namespace) -> None:
    binding = {
        "metadata": {"name": "try-cluster-wide"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{**account(), "namespace": guarded.name}],
    }

    with pytest.raises(RefusedError, match="agents may not have the ClusterRole cluster-admin"):
        await guarded.api.call("POST", f"{RBAC}/clusterrolebindings", binding, query={"dryRun": "All"})


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "User", "name": "system:serviceaccount:team:web-agent"},
        {"kind": "Group", "name": "system:serviceaccounts"},
        {"kind": "Group", "name": "system:serviceaccounts:team"},
        {"kind": "Group", "name": "system:authenticated"},
    ],
    ids=lambda s: s["name"],
)
async def test_nor_under_another_name(guarded: Namespace, subject: Document) -> None:
    subject = {**subject, "apiGroup": "rbac.authorization.k8s.io"}

    with pytest.raises(RefusedError, match="agents may not have the ClusterRole admin"):
        await bind(guarded, "admin", subject)


@pytest.mark.parametrize(
    "subject",
    [account("builder"), {"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
    ids=lambda s: s["name"],
)
async def test_others_are_bound_as_ever(guarded: Namespace, subject: Document) -> None:
    await bind(guarded, "admin", subject)


@pytest.mark.parametrize(
    "strong, why",
    [
        (rule("configmaps", "*"), "it has a wildcard"),
        (rule("*", "get"), "it has a wildcard"),
        (rule("rolebindings", "create", group="rbac.authorization.k8s.io"), "it can change rights"),
        (rule("users", "impersonate"), "it can change rights"),
        (rule("serviceaccounts/token", "create"), "it can change rights"),
        (rule("*/token", "create"), "it has a wildcard"),
        (rule("secrets", "list"), "it can read Secrets"),
        (rule("secrets", "list", resourceNames=["", "its-own"]), "it can read Secrets"),
        (rule("pods/exec", "create"), "it can reach into Pods"),
        (rule("jobs", "create", group="batch"), "it can make Pods"),
        (rule("agenttypes", "patch", group="agents.example.com"), "it can make Pods"),
    ],
    ids=lambda v: (
        "" if isinstance(v, str) else f"{v['verbs'][0]}-{v['resources'][0]}{'-named' * ('resourceNames' in v)}"
    ),
)
async def test_rules_decide_and_not_names(guarded: Namespace, strong: Document, why: str) -> None:
    await make_role(guarded, "innocent", rule("configmaps", "get"), strong)

    async def refused() -> str:  # "" as long as the policy has not heard of the role
        return await refusal(guarded, "innocent", kind="Role")

    assert f"agents may not have the Role innocent: {why}" in await eventually(refused)


async def test_an_agent_is_bound_to_a_narrow_role(guarded: Namespace) -> None:
    await make_role(
        guarded,
        "narrow",
        rule("configmaps pods pods/log", "get", "list", "watch"),
        rule("secrets", "get", resourceNames=["its-own"]),
        rule("events", "create"),
    )

    await bind(guarded, "narrow", account(), kind="Role")
    await bind(guarded, "view", account())


async def test_what_is_meant_can_be_said(guarded: Namespace) -> None:
    await bind(guarded, "admin", account(), labels={"agents.example.com/strong-role": "allowed"})


async def test_a_binding_from_before_can_still_be_labelled_and_emptied(guarded: Namespace) -> None:
    path = f"{RBAC}/namespaces/{guarded.name}/rolebindings"
    before = {
        "metadata": {"name": "before", "labels": {"agents.example.com/strong-role": "allowed"}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{**account(), "namespace": guarded.name}],
    }
    await guarded.api.call("POST", path, before)

    async def change(**body: Any) -> None:
        await guarded.api.call("PATCH", f"{path}/before", body, media="application/merge-patch+json")

    await change(metadata={"labels": {"agents.example.com/strong-role": None}})
    await change(metadata={"labels": {"team": "x"}})
    with pytest.raises(RefusedError, match="agents may not have the ClusterRole edit"):
        await change(subjects=[{**account("other-agent"), "namespace": guarded.name}])
    await change(subjects=None)
