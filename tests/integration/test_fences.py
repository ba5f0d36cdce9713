"""Step 5: NetworkPolicies are made, taken by the API server, and follow the spec."""

import json
from pathlib import Path

import pytest
import yaml
from integration.api import Document, RefusedError
from integration.cluster import ROOT
from integration.team import Team, condition
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
async def test_the_api_server_takes_every_policy_that_is_rendered(own_team: Team, file: Path) -> None:
    for policy in policies(file):
        policy["metadata"]["namespace"] = own_team.namespace
        kept = await own_team.api.create("networkpolicies", policy)
        assert json.dumps(kept["spec"], sort_keys=True) == json.dumps(policy["spec"], sort_keys=True)


def production() -> Document:
    spec: Document = yaml.safe_load(PRODUCTION.read_text())["spec"]
    return spec


async def test_the_founding_plans_production_agent_is_open_to_its_namespaces_alone(team: Team) -> None:
    await team.create("production-agent", **production())

    policy = await team.finds("networkpolicies", "production-agent")

    (operations,) = policy["spec"]["ingress"]
    namespaces = [peer["namespaceSelector"]["matchLabels"][NAMESPACE_LABEL] for peer in operations["from"]]
    assert namespaces == ["agentberth-system", "default", "monitoring"]
    assert [port["port"] for port in operations["ports"]] == [9801, 9802]


async def test_policy_follows_the_spec_and_goes_when_it_is_switched_off(team: Team) -> None:
    await team.create("fenced", monitoring={"tracing": {"endpoint": "http://collector.telemetry:4318"}})
    policy = await team.finds("networkpolicies", "fenced")
    told = "agents.example.com/derived-egress"
    assert policy["metadata"]["annotations"][told] == "monitoring.tracing collector.telemetry:4318"

    await team.edit("fenced", monitoring=None, security={"networkPolicy": {"egress": {"allowedNamespaces": ["data"]}}})

    async def follows() -> bool:
        found = await team.api.get("networkpolicies", "fenced")
        last = found["spec"]["egress"][-1]["to"][0]["namespaceSelector"]["matchLabels"][NAMESPACE_LABEL]
        return last == "data" and told not in found["metadata"].get("annotations", {})

    await eventually(follows)
    await team.edit("fenced", security={"networkPolicy": {"enabled": False}})

    async def gone() -> bool:
        agent = await team.agent("fenced")
        posture = condition(agent, "SecurityPosture").get("message", "")
        return "networkpolicies" not in await team.children("fenced") and "networkPolicy is off" in posture

    await eventually(gone)


async def test_policy_that_somebody_changes_or_deletes_comes_back(team: Team) -> None:
    await team.create("fenced")
    before = (await team.finds("networkpolicies", "fenced"))["spec"]

    await team.api.patch("networkpolicies", "fenced", {"spec": {"egress": [{}]}})

    async def mended() -> bool:
        found = await team.api.find("networkpolicies", "fenced")
        return found is not None and found["spec"] == before

    await eventually(mended)
    await team.api.delete("networkpolicies", "fenced")
    await eventually(mended)


async def test_opening_a_metadata_service_is_refused_in_the_status(team: Team) -> None:
    await team.create("sly", security={"networkPolicy": {"egress": {"allowedCIDRs": ["169.254.169.254/32"]}}})

    agent = await team.says("sly", "Invalid")

    assert "169.254.169.254/32 is within 169.254.0.0/16, which the platform blocks" in agent["status"]["message"]
    assert "deployments" not in await team.children("sly")


async def test_an_impossible_network_is_refused_at_once(own_team: Team) -> None:
    with pytest.raises(RefusedError, match="allowedCIDRs has an entry that is not a network"):
        await own_team.create("odd", security={"networkPolicy": {"egress": {"allowedCIDRs": ["300.1.2.0/24"]}}})
