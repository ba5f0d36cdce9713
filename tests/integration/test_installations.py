"""Two installations that watch one namespace, and namespaces that one of them may not see."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from integration.api import Document
from integration.cluster import write_kubeconfig
from integration.operating import Hire, OperatorProcess
from integration.proxy import Proxy
from integration.team import Team, condition
from integration.test_permissions import NAMESPACED, documents, grant, token
from integration.waiting import eventually

pytestmark = pytest.mark.step5

ALONE = "--leader-election=false"
SECOND = ("--lease-name", "second", ALONE, "--takeover-s", "8")


async def readiness(operator: OperatorProcess) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{operator.ops}/readyz") as answer:
        return await answer.text()


async def test_the_second_of_two_installations_stands_still_and_says_so(
    own_team: Team, hire: Hire, tmp_path: Path
) -> None:
    platform = tmp_path / "platform.yaml"
    platform.write_text("images: {initenv: 'example.com/other:1'}\n")
    first = hire(own_team, ALONE)
    await first.ready()
    await own_team.create("shared", replicas=2)
    await own_team.reaches("shared", "Running", ready="True")
    second = hire(own_team, *SECOND, "--platform", str(platform))

    async def says() -> bool:
        lines = await readiness(second)
        return f"installation {own_team.namespace}/agentberth-operator works on them" in lines

    await eventually(says)
    before = await own_team.api.get("deployments", "shared")
    await own_team.create("later")
    later = await own_team.reaches("later", "Running", ready="True")
    await own_team.edit("shared", replicas=3)

    async def scaled() -> bool:
        return bool((await own_team.api.get("deployments", "shared"))["spec"]["replicas"] == 3)

    await eventually(scaled)
    after = await own_team.api.get("deployments", "shared")
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert later["status"]["installation"].startswith(own_team.namespace)
    assert "installation" not in await readiness(first)

    async def told() -> bool:
        return any(e["type"] == "Warning" and e["reason"] == "OtherInstallation" for e in await events(own_team))

    await eventually(told)
    first.kill()
    second.kill()
    second.start()  # who knows nothing asks at once

    async def taken_over() -> bool:
        found = [(await own_team.agent(name))["status"] for name in ("shared", "later")]
        return all(s["installation"] == f"{own_team.namespace}/second" and "contender" not in s for s in found)

    await eventually(taken_over, within_s=90)
    assert first.problems() == []
    assert second.problems() == []


async def events(team: Team) -> list[Document]:
    return await team.events("shared")


async def test_a_namespace_that_may_not_be_seen_stops_no_other(
    own_team: Team, hire: Hire, proxy: Proxy, tmp_path: Path
) -> None:
    """Rights in one namespace of two, as when the other was deleted with its Role."""
    account = await account_with_rights(own_team)
    config = write_kubeconfig(tmp_path / "account.kubeconfig", proxy.url, token=account)
    names = f"{own_team.namespace},it-not-there"
    operator = hire(own_team, ALONE, "--namespaces", names, kubeconfig=config)
    await operator.ready()

    await own_team.create("seen")
    await own_team.reaches("seen", "Running", ready="True")

    await take_rights(own_team, "statefulsets")
    proxy.cut()

    async def told() -> bool:
        ready = condition(await own_team.agent("seen"), "Ready")
        return ready.get("reason") == "Forbidden" and "statefulsets" in ready["message"]

    await asyncio.gather(own_team.edit("seen", replicas=2), eventually(told))
    assert "rights are missing" in await readiness(operator)
    await give_rights(own_team)
    await own_team.reaches("seen", "Running", ready="True", within_s=120)
    assert await readiness(operator) == "ok\n"


ROLE = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles/agentberth-operator-agents"


async def account_with_rights(team: Team) -> str:
    await grant(team, [NAMESPACED])
    return await token(team)


async def take_rights(team: Team, resource: str) -> None:
    """Without `resource` in any rule."""
    role = await team.api.call("GET", ROLE.format(team.namespace))
    rules = [{**rule, "resources": [r for r in rule["resources"] if r != resource]} for rule in role["rules"]]
    await team.api.call("PUT", ROLE.format(team.namespace), {**role, "rules": [r for r in rules if r["resources"]]})


async def give_rights(team: Team) -> None:
    rules = documents(NAMESPACED)[0]["rules"]
    role = await team.api.call("GET", ROLE.format(team.namespace))
    await team.api.call("PUT", ROLE.format(team.namespace), {**role, "rules": rules})
