"""Agents of every kind while everything around them fails; the end is as if nothing had happened.

Meanwhile the operator is killed, admission webhooks are down, a quota is too small, connections are reset, the API
server restarts and a second installation wants the same agents. CI runs a small form; AGENTBERTH_WHOLE=1 runs 300
agents with 20 kills and restarts of the API server.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from integration.api import CHILDREN, Document, RefusedError
from integration.cluster import Cluster
from integration.conftest import open_namespace
from integration.operating import Hire, OperatorProcess
from integration.proxy import Proxy
from integration.team import AGENT_LABEL, NGINX, Team, condition
from integration.waiting import eventually, throughout

WHOLE = os.environ.get("AGENTBERTH_WHOLE") == "1"
EACH = 50 if WHOLE else 3
KILLS = 20 if WHOLE else 4
PATIENCE_S = 900.0 if WHOLE else 150.0
ALONE = "--leader-election=false"
SERVER_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")

pytestmark = [pytest.mark.step5, pytest.mark.long, pytest.mark.timeout(2400 if WHOLE else 400)]


def specs() -> dict[str, Document]:
    """One of each kind of workload, with what belongs to it."""
    files = [{"path": "words.txt", "content": "a"}]
    ports = [{"name": "http", "containerPort": 8080}]
    return {
        "plain": {},
        "served": {"agent": {**NGINX, "ports": ports, "environment": {"files": files}}, "replicas": 2},
        "minded": {"memory": {"size": "16Mi"}},
        "scaled": {"scaling": {"minReplicas": 2, "maxReplicas": 3}},
        "once": {"workload": {"kind": "Job"}},
        "clocked": {"workload": {"kind": "CronJob", "schedule": "0 3 1 1 *"}},
    }


def edited(kind: str) -> Document:
    """What changes in the middle of it all. A Job's second spec is another run."""
    return (
        {} if kind in {"once", "clocked"} else {"agent": {"environment": {"variables": [{"name": "X", "value": "1"}]}}}
    )


def names() -> list[tuple[str, str]]:
    return [(f"{kind}-{number}", kind) for number in range(EACH) for kind in specs()]


@dataclass
class Witness:
    """What the server told of Pods, policies and Jobs from the beginning."""

    team: Team
    unfenced: list[str] = field(default_factory=list)
    jobs: dict[str, set[str]] = field(default_factory=dict)
    runs: dict[str, set[str]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    async def follow_pods(self) -> None:
        async for pod in self.team.api.follow("pods"):
            metadata = pod.get("metadata", {})
            if metadata.get("uid") in self._seen or "labels" not in metadata:
                continue
            self._seen.add(metadata["uid"])
            labels = metadata["labels"]
            if AGENT_LABEL not in labels:
                continue
            for owner in metadata.get("ownerReferences", ()):
                if owner["kind"] == "Job":
                    self.runs.setdefault(owner["name"], set()).add(metadata["uid"])
            policies = await self._policies()
            if not any(selector.items() <= labels.items() for selector in policies):
                self.unfenced.append(metadata["name"])

    async def follow_jobs(self) -> None:
        async for job in self.team.api.follow("jobs"):
            if "uid" in job.get("metadata", {}):
                self.jobs.setdefault(job["metadata"]["name"], set()).add(job["metadata"]["uid"])

    async def _policies(self) -> list[dict[str, str]]:
        while True:
            try:
                found = await self.team.api.list("networkpolicies")
            except Exception:  # noqa: BLE001 - the API server is down, on purpose
                await asyncio.sleep(0.2)
                continue
            return [one["spec"]["podSelector"].get("matchLabels", {}) for one in found]


@asynccontextmanager
async def witnessed(team: Team) -> AsyncIterator[Witness]:
    """Watches that outlive the API server's restarts."""
    witness = Witness(team)

    async def lasting(follow: Any) -> None:
        while True:
            with suppress(Exception):
                await follow()
            await asyncio.sleep(0.2)

    tasks = [asyncio.create_task(lasting(each)) for each in (witness.follow_pods, witness.follow_jobs)]
    try:
        yield witness
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def webhook(team: Team, resource: tuple[str, str]) -> Document:
    """An admission webhook whose server is away, for one kind in the team's namespace."""
    group, plural = resource
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"chaos-{team.namespace}"},
        "webhooks": [
            {
                "name": "away.example.com",
                "clientConfig": {"url": "https://127.0.0.1:1/judge"},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": team.namespace}},
                "rules": [{"apiGroups": [group], "apiVersions": ["*"], "operations": ["*"], "resources": [plural]}],
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 1,
            }
        ],
    }


WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
QUOTA: Document = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "small"},
    "spec": {"hard": {"count/networkpolicies.networking.k8s.io": "2", "count/configmaps": "3"}},
}


async def outage(team: Team, resource: tuple[str, str], for_s: float) -> None:
    made = await team.api.call("POST", WEBHOOKS, webhook(team, resource))
    await asyncio.sleep(for_s)
    await team.api.call("DELETE", f"{WEBHOOKS}/{made['metadata']['name']}")


async def small_quota(team: Team, for_s: float) -> None:
    await team.api.create("resourcequotas", QUOTA)
    await asyncio.sleep(for_s)
    await team.api.delete("resourcequotas", "small")


async def kill(operator: OperatorProcess, chance: random.Random) -> None:
    await asyncio.sleep(chance.uniform(0.5, 3.0))
    operator.kill()
    operator.start()
    await operator.ready(within_s=120)


async def disturb(team: Team, operator: OperatorProcess, proxy: Proxy, cluster: Cluster) -> None:
    """All of it, while agents are created and edited."""
    chance = random.Random(7)  # noqa: S311 - no secret
    outages = [("", "configmaps"), ("networking.k8s.io", "networkpolicies"), ("batch", "jobs"), ("apps", "deployments")]
    for number in range(KILLS):
        trouble = small_quota(team, 2.0) if number % 3 == 1 else outage(team, outages[number % len(outages)], 2.0)
        await asyncio.gather(trouble, kill(operator, chance))
        proxy.cut()
        if WHOLE and number % 7 == 3 and cluster.home is not None:
            await cluster.restart_api_server()


async def create(team: Team) -> None:
    for name, kind in names():
        await _persist(lambda name=name, kind=kind: team.create(name, **specs()[kind]))
        await asyncio.sleep(0.05)


async def edit(team: Team) -> None:
    for name, kind in names():
        if change := edited(kind):
            await _persist(lambda name=name, change=change: team.edit(name, **change))


async def _persist(call: Any) -> None:
    """A user who tries again while the API server is away."""
    while True:
        try:
            await call()
        except RefusedError as refusal:
            if refusal.status == 409:
                return
            await asyncio.sleep(0.5)
        except OSError:
            await asyncio.sleep(0.5)
        else:
            return


async def settled(team: Team) -> None:
    """Returns when every agent is as its spec says, in its status too."""

    async def look() -> bool:
        agents = await team.api.list("agenttypes")
        wrong = [
            (agent["metadata"]["name"], agent.get("status", {}).get("message"))
            for agent in agents
            if agent.get("status", {}).get("observedGeneration") != agent["metadata"]["generation"]
            or condition(agent, "Ready").get("status") != "True"
            or condition(agent, "Ready").get("reason") == "Progressing"
        ]
        assert not wrong, wrong[:5]
        return len(agents) == len(names())

    await eventually(look, within_s=PATIENCE_S)

    async def ran() -> bool:
        ended = [(await team.agent(name))["status"]["phase"] for name, kind in names() if kind == "once"]
        return set(ended) == {"Succeeded"}

    await eventually(ran, within_s=PATIENCE_S)


async def state_of(team: Team) -> dict[str, str]:
    """What every agent has, by name, without what chance or the server put there."""
    found: dict[str, list[str]] = {}
    for plural in CHILDREN:
        for child in await team.api.list(plural, AGENT_LABEL):
            metadata = child["metadata"]
            if any(owner["kind"] == "AgentType" for owner in metadata.get("ownerReferences", ())):
                found.setdefault(metadata["labels"][AGENT_LABEL], []).append(_neutral(child, plural, team.namespace))
    return {name: "\n".join(children) for name, children in found.items()}


def _neutral(child: Document, plural: str, namespace: str) -> str:
    spec = {key: value for key, value in child.get("spec", {}).items() if key not in SERVER_FIELDS}
    if plural == "jobs":  # the controller's own labels carry uids
        spec = {key: spec.get(key) for key in ("suspend", "backoffLimit", "ttlSecondsAfterFinished")}
    data = {key: value for key, value in child.get("data", {}).items() if not key.endswith("-key")}
    return f"{plural} {child['metadata']['name']} {spec} {data}".replace(namespace, "NAMESPACE")


async def test_the_end_is_that_of_an_undisturbed_run(
    own_team: Team, hire: Hire, proxy: Proxy, cluster: Cluster, tmp_path: Path
) -> None:
    operator = hire(own_team, ALONE, "--resync-s", "5", "--takeover-s", "600", proxy=proxy)
    await operator.ready()
    other = tmp_path / "other.yaml"
    other.write_text("images: {memory: 'example.com/other-redis:1'}\n")
    hire(own_team, ALONE, "--lease-name", "second", "--takeover-s", "600", "--platform", str(other))
    async with witnessed(own_team) as witness:
        await own_team.create("plain-0")
        await own_team.reaches("plain-0", "Running", ready="True")  # both installations know whose it is
        await asyncio.gather(create(own_team), disturb(own_team, operator, proxy, cluster))
        await edit(own_team)
        await kill(operator, random.Random(8))  # noqa: S311 - no secret
        await settled(own_team)
        disturbed = await state_of(own_team)

        async with open_namespace(cluster, f"{own_team.namespace}-calm") as calm:
            hire(calm, ALONE)
            await create(calm)
            await settled(calm)
            await edit(calm)
            await settled(calm)
            expected = await state_of(calm)

    assert {name: disturbed.get(name) for name in expected} == expected
    assert witness.unfenced == []
    assert {name: len(uids) for name, uids in witness.jobs.items() if len(uids) > 1} == {}
    assert {name: len(uids) for name, uids in witness.runs.items() if len(uids) > 1} == {}
    written = len(proxy.writes)

    async def at_rest() -> None:
        assert [each.path for each in proxy.writes[written:] if "/events" not in each.path] == []

    await throughout(at_rest, for_s=6.0)
