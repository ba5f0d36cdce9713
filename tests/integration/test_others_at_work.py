"""Others write too: meshes and policy engines change what the operator writes, and GitOps applies agents again."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from e2e.kubectl import Kubectl
from integration.api import Document
from integration.cluster import Cluster
from integration.namespace import NGINX, Namespace, agent_document
from integration.operating import Hire
from integration.proxy import Proxy
from integration.waiting import eventually
from integration.webhooks import Operations, mutating

pytestmark = [pytest.mark.step5, pytest.mark.timeout(300)]

RESYNC_S = 2
QUIET_S = 5.0
"""Longer than between two resyncs."""
ANNOTATION = "/metadata/annotations"
MARKED: Operations = ({"op": "add", "path": f"{ANNOTATION}/policies.kyverno.io~1last-applied-patches", "value": "a"},)
TEMPLATE = "/spec/template/spec"
WORKLOAD: Operations = (
    {"op": "add", "path": "/metadata/labels/policy.example.com~1team", "value": "data"},
    {"op": "add", "path": f"{TEMPLATE}/tolerations/-", "value": {"key": "team", "operator": "Exists"}},
    {"op": "add", "path": f"{TEMPLATE}/dnsConfig", "value": {"options": [{"name": "ndots", "value": "2"}]}},
    {"op": "add", "path": f"{TEMPLATE}/containers/0/env/-", "value": {"name": "FROM_POLICY", "value": "1"}},
    {"op": "add", "path": f"{TEMPLATE}/containers/0/imagePullPolicy", "value": "Always"},
)
MESH: Operations = (
    {"op": "add", "path": "/metadata/labels/security.istio.io~1tlsMode", "value": "istio"},
    {"op": "add", "path": f"{ANNOTATION}/sidecar.istio.io~1status", "value": "injected"},
    {"op": "add", "path": "/spec/containers/-", "value": {"name": "istio-proxy", "image": "istio/proxyv2:1.27"}},
)
OPAQUE: Operations = ({"op": "add", "path": f"{ANNOTATION}/config.linkerd.io~1opaque-ports", "value": "6379"},)
PATCHES: Mapping[tuple[str, str], Operations] = {
    ("apps", "deployments"): WORKLOAD,
    ("apps", "statefulsets"): WORKLOAD,
    ("", "pods"): MESH,
    ("", "services"): OPAQUE,
    ("", "configmaps"): MARKED,
    ("", "serviceaccounts"): (*MARKED, {"op": "add", "path": "/imagePullSecrets/-", "value": {"name": "mirror"}}),
    ("networking.k8s.io", "networkpolicies"): MARKED,
}
AGENTS: Mapping[str, Document] = {
    "served": {
        "agent": {
            **NGINX,
            "ports": [{"name": "http", "containerPort": 8080}],
            "environment": {"files": [{"path": "words.txt", "content": "a"}]},
        },
        "replicas": 2,
    },
    "minded": {"memory": {"size": "16Mi"}},
    "once": {"workload": {"kind": "Job"}},
}
STAYING = ("served", "minded")


async def rest(proxy: Proxy) -> None:
    """Returns when nothing was written for QUIET_S."""

    async def look() -> bool:
        before = len(proxy.writes)
        await asyncio.sleep(QUIET_S)
        written = [(each.method, each.path, each.body) for each in proxy.writes[before:]]
        assert written == [], written[:3]
        return True

    await eventually(look)


async def ready(namespace: Namespace, *names: str) -> None:
    for name in names:
        await namespace.reaches(name, "Succeeded" if name == "once" else "Running", ready="True")


async def test_what_webhooks_change_is_left_as_they_want_it(
    own_namespace: Namespace, hire: Hire, proxy: Proxy, tmp_path: Path
) -> None:
    operator = hire(own_namespace, "--leader-election=false", "--resync-s", str(RESYNC_S), proxy=proxy)
    async with mutating(own_namespace.api, tmp_path, PATCHES) as met:
        for name in STAYING:
            await own_namespace.create(name, **AGENTS[name])
        await ready(own_namespace, *STAYING)
        await rest(proxy)

        await own_namespace.edit("served", agent={"image": "nginx:1.28"})
        await ready(own_namespace, *STAYING)
        await rest(proxy)

        deployment = await own_namespace.api.get("deployments", "served")
        template = deployment["spec"]["template"]["spec"]
        assert {"key": "team", "operator": "Exists"} in template["tolerations"]
        assert {"name": "FROM_POLICY", "value": "1"} in template["containers"][0]["env"]
        assert template["containers"][0]["image"] == "nginx:1.28"
        assert set(met) == {plural for _, plural in PATCHES}
    assert operator.problems() == []


async def test_an_agent_that_gitops_applies_again_stays_as_it_is(
    own_namespace: Namespace, hire: Hire, proxy: Proxy, cluster: Cluster
) -> None:
    """As Argo CD does, by the annotation with what was applied last, and as Flux does, on the server's side."""
    hire(own_namespace, "--leader-election=false", "--resync-s", str(RESYNC_S), proxy=proxy)
    kubectl = Kubectl("kubectl", cluster.kubeconfig)
    documents = {name: agent_document(name, **spec) for name, spec in AGENTS.items()}
    argo = {"labels": {"app.kubernetes.io/instance": "agents"}, "annotations": {"argocd.argoproj.io/tracking-id": "a"}}
    flux = {"labels": {"kustomize.toolkit.fluxcd.io/name": "agents", "kustomize.toolkit.fluxcd.io/namespace": "flux"}}
    server_side = ("--server-side", "--force-conflicts", "--field-manager=kustomize-controller")
    ways = {"served": (argo, ()), "minded": (flux, server_side), "once": (argo, ())}

    async def apply() -> None:
        for name, (metadata, flags) in ways.items():
            document = documents[name]
            text = json.dumps({**document, "metadata": {**document["metadata"], **metadata}})
            place = ("-n", own_namespace.name, "-f", "-")
            await asyncio.to_thread(kubectl.run, "apply", *flags, *place, stdin=text)

    await apply()
    await ready(own_namespace, *AGENTS)
    await rest(proxy)
    before = {name: await own_namespace.agent(name) for name in AGENTS}
    written = len(proxy.writes)

    for _ in range(3):
        await apply()
    await rest(proxy)

    assert [(each.method, each.path, each.body) for each in proxy.writes[written:]] == []
    assert {name: await own_namespace.agent(name) for name in AGENTS} == before
    assert len(await own_namespace.api.list("jobs")) == 1
    for plural in ("deployments", "jobs", "configmaps", "services", "networkpolicies", "serviceaccounts"):
        for child in await own_namespace.api.list(plural, "agents.example.com/agent"):  # they would be pruned as strays
            assert child["metadata"]["labels"].get("app.kubernetes.io/instance") != "agents"
            assert "argocd.argoproj.io/tracking-id" not in child["metadata"].get("annotations", {})
