"""Step 5: NetworkPolicies are made, taken by the API server, and follow the spec."""

import json
from pathlib import Path

import pytest
import yaml
from integration.api import Document, RefusedError
from integration.cluster import ROOT
from integration.namespace import Namespace, condition
from integration.waiting import eventually

pytestmark = pytest.mark.step5

GOLDEN = sorted((ROOT / "libs" / "render" / "tests" / "golden").glob("*.yaml"))
PRODUCTION = ROOT / "tests" / "manifests" / "valid" / "production-agent.yaml"
NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def policies(file: Path) -> list[Document]:
    found = [one for one in yaml.safe_load_all(file.read_text()) if one["kind"] == "NetworkPolicy"]
    assert found
    return found


@pytest.mark.parametrize("file", GOLDEN, ids=lambda f: f.stem)
async def test_the_api_server_takes_every_policy_that_is_rendered(own_namespace: Namespace, file: Path) -> None:
    for policy in policies(file):
        policy["metadata"]["namespace"] = own_namespace.name
        kept = await own_namespace.api.create("networkpolicies", policy)
        assert json.dumps(kept["spec"], sort_keys=True) == json.dumps(policy["spec"], sort_keys=True)


def production() -> Document:
    spec: Document = yaml.safe_load(PRODUCTION.read_text())["spec"]
    return spec


async def test_the_founding_plans_production_agent_is_open_to_its_namespaces_alone(namespace: Namespace) -> None:
    await namespace.create("production-agent", **production())

    policy = await namespace.finds("networkpolicies", "production-agent")

    (operations,) = policy["spec"]["ingress"]
    namespaces = [peer["namespaceSelector"]["matchLabels"][NAMESPACE_LABEL] for peer in operations["from"]]
    assert namespaces == ["agentberth-system", "default", "monitoring"]
    assert [port["port"] for port in operations["ports"]] == [9801, 9802]


async def test_policy_follows_the_spec_and_goes_when_it_is_switched_off(namespace: Namespace) -> None:
    await namespace.create("fenced", monitoring={"tracing": {"endpoint": "http://collector.telemetry:4318"}})
    policy = await namespace.finds("networkpolicies", "fenced")
    told = "agents.example.com/derived-egress"
    assert policy["metadata"]["annotations"][told] == "monitoring.tracing collector.telemetry:4318"

    await namespace.edit(
        "fenced", monitoring=None, security={"networkPolicy": {"egress": {"allowedNamespaces": ["data"]}}}
    )

    async def follows() -> bool:
        found = await namespace.api.get("networkpolicies", "fenced")
        last = found["spec"]["egress"][-1]["to"][0]["namespaceSelector"]["matchLabels"][NAMESPACE_LABEL]
        return last == "data" and told not in found["metadata"].get("annotations", {})

    await eventually(follows)
    await namespace.edit("fenced", security={"networkPolicy": {"enabled": False}})

    async def gone() -> bool:
        agent = await namespace.agent("fenced")
        posture = condition(agent, "SecurityPosture").get("message", "")
        return "networkpolicies" not in await namespace.children("fenced") and "networkPolicy is off" in posture

    await eventually(gone)


async def test_policy_that_somebody_changes_or_deletes_comes_back(namespace: Namespace) -> None:
    await namespace.create("fenced")
    before = (await namespace.finds("networkpolicies", "fenced"))["spec"]

    await namespace.api.patch("networkpolicies", "fenced", {"spec": {"egress": [{}]}})

    async def mended() -> bool:
        found = await namespace.api.find("networkpolicies", "fenced")
        return found is not None and found["spec"] == before

    await eventually(mended)
    await namespace.api.delete("networkpolicies", "fenced")
    await eventually(mended)


async def test_opening_a_metadata_service_is_refused_in_the_status(namespace: Namespace) -> None:
    await namespace.create("sly", security={"networkPolicy": {"egress": {"allowedCIDRs": ["169.254.169.254/32"]}}})

    agent = await namespace.says("sly", "Invalid")

    assert "169.254.169.254/32 is within 169.254.0.0/16, which the platform blocks" in agent["status"]["message"]
    assert "deployments" not in await namespace.children("sly")


async def test_an_impossible_network_is_refused_at_once(own_namespace: Namespace) -> None:
    with pytest.raises(RefusedError, match="allowedCIDRs has an entry that is not a network"):
        await own_namespace.create("odd", security={"networkPolicy": {"egress": {"allowedCIDRs": ["300.1.2.0/24"]}}})
