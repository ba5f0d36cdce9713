"""Two installations that watch one namespace, and namespaces that one of them may not see."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from integration.api import Document
from integration.cluster import write_kubeconfig
from integration.namespace import Namespace, condition
from integration.operating import Hire, OperatorProcess
from integration.proxy import Proxy
from integration.test_permissions import NAMESPACED, documents, grant, token
from integration.waiting import eventually

pytestmark = pytest.mark.step5

ALONE = "--leader-election=false"
SECOND = ("--lease-name", "second", ALONE, "--takeover-s", "8")


async def readiness(operator: OperatorProcess) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{operator.ops}/readyz") as answer:
        return await answer.text()


async def test_the_second_of_two_installations_stands_still_and_says_so(
    own_namespace: Namespace, hire: Hire, tmp_path: Path
) -> None:
    platform = tmp_path / "platform.yaml"
    platform.write_text("images: {initenv: 'example.com/other:1'}\n")
    first = hire(own_namespace, ALONE)
    await first.ready()
    await own_namespace.create("shared", replicas=2)
    await own_namespace.reaches("shared", "Running", ready="True")
    second = hire(own_namespace, *SECOND, "--platform", str(platform))

    async def says() -> bool:
        lines = await readiness(second)
        return f"installation {own_namespace.name}/agentberth-operator works on them" in lines

    await eventually(says)
    before = await own_namespace.api.get("deployments", "shared")
    await own_namespace.create("later")
    later = await own_namespace.reaches("later", "Running", ready="True")
    await own_namespace.edit("shared", replicas=3)

    async def scaled() -> bool:
        return bool((await own_namespace.api.get("deployments", "shared"))["spec"]["replicas"] == 3)

    await eventually(scaled)
    after = await own_namespace.api.get("deployments", "shared")
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert later["status"]["installation"].startswith(own_namespace.name)
    assert "installation" not in await readiness(first)

    async def told() -> bool:
        return any(e["type"] == "Warning" and e["reason"] == "OtherInstallation" for e in await events(own_namespace))

    await eventually(told)
    first.kill()
    second.kill()
    second.start()  # who knows nothing asks at once

    async def taken_over() -> bool:
        found = [(await own_namespace.agent(name))["status"] for name in ("shared", "later")]
        return all(s["installation"] == f"{own_namespace.name}/second" and "contender" not in s for s in found)

    await eventually(taken_over, within_s=90)
    assert first.problems() == []
    assert second.problems() == []


async def events(namespace: Namespace) -> list[Document]:
    return await namespace.events("shared")


async def test_a_namespace_that_may_not_be_seen_stops_no_other(
    own_namespace: Namespace, hire: Hire, proxy: Proxy, tmp_path: Path
) -> None:
    """Rights in one namespace of two, as when the other was deleted with its Role."""
    account = await account_with_rights(own_namespace)
    config = write_kubeconfig(tmp_path / "account.kubeconfig", proxy.url, token=account)
    names = f"{own_namespace.name},it-not-there"
    operator = hire(own_namespace, ALONE, "--namespaces", names, kubeconfig=config)
    await operator.ready()

    await own_namespace.create("seen")
    await own_namespace.reaches("seen", "Running", ready="True")

    await take_rights(own_namespace, "statefulsets")
    proxy.cut()

    async def told() -> bool:
        ready = condition(await own_namespace.agent("seen"), "Ready")
        return ready.get("reason") == "Forbidden" and "statefulsets" in ready["message"]

    await asyncio.gather(own_namespace.edit("seen", replicas=2), eventually(told))
    assert "rights are missing" in await readiness(operator)
    await give_rights(own_namespace)
    await own_namespace.reaches("seen", "Running", ready="True", within_s=120)
    assert await readiness(operator) == "ok\n"


ROLE = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles/agentberth-operator-agents"


async def account_with_rights(namespace: Namespace) -> str:
    await grant(namespace, [NAMESPACED])
    return await token(namespace)


async def take_rights(namespace: Namespace, resource: str) -> None:
    """Without `resource` in any rule."""
    role = await namespace.api.call("GET", ROLE.format(namespace.name))
    rules = [{**rule, "resources": [r for r in rule["resources"] if r != resource]} for rule in role["rules"]]
    await namespace.api.call(
        "PUT", ROLE.format(namespace.name), {**role, "rules": [r for r in rules if r["resources"]]}
    )


async def give_rights(namespace: Namespace) -> None:
    rules = documents(NAMESPACED)[0]["rules"]
    role = await namespace.api.call("GET", ROLE.format(namespace.name))
    await namespace.api.call("PUT", ROLE.format(namespace.name), {**role, "rules": rules})
