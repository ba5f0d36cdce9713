"""Agents of every kind while everything around them fails; the end is as if nothing had happened.

Meanwhile the operator is killed, admission webhooks are down, a quota is too small, connections are reset, the API
server restarts, and a second installation wants the same agents. CI runs a sample; AGENTBERTH_WHOLE=1 runs 300 agents
with 20 kills and restarts of the API server.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from integration.api import CHILDREN, Document, RefusedError
from integration.cluster import Cluster
from integration.conftest import open_namespace
from integration.namespace import AGENT_LABEL, NGINX, Namespace, condition
from integration.operating import Hire, OperatorProcess
from integration.proxy import Proxy
from integration.waiting import eventually
from integration.witness import witnessed

WHOLE = bool(os.environ.get("AGENTBERTH_WHOLE"))
OF_EACH_KIND = 50 if WHOLE else 2
KILLS = 20 if WHOLE else 3
PATIENCE_S = 900.0 if WHOLE else 150.0
QUIET_S = 8.0
"""Longer than between two resyncs."""
ALONE = ("--leader-election=false", "--resync-s", "5")
GIVEN_BY_SERVER = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
REFUSED = (("", "configmaps"), ("networking.k8s.io", "networkpolicies"), ("batch", "jobs"), ("apps", "deployments"))
QUOTA: Document = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "small"},
    "spec": {"hard": {"count/networkpolicies.networking.k8s.io": "2", "count/configmaps": "3"}},
}

pytestmark = [pytest.mark.step5, pytest.mark.long, pytest.mark.timeout(3600 if WHOLE else 500)]


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


NAMES = [(f"{kind}-{number}", kind) for number in range(OF_EACH_KIND) for kind in specs()]
EDITED = [name for name, kind in NAMES if kind not in {"once", "clocked"}]
"""A Job's second spec would be another run."""


async def create(namespace: Namespace) -> None:
    for name, kind in NAMES:
        await persist(partial(namespace.create, name, **specs()[kind]))


async def edit(namespace: Namespace) -> None:
    change = {"environment": {"variables": [{"name": "EDITED", "value": "1"}]}}
    for name in EDITED:
        await persist(partial(namespace.edit, name, agent=change))


async def persist(call: Callable[[], Awaitable[Document]]) -> None:
    """A user who tries again while the API server is away, and knows that an object may be there already."""

    async def attempt() -> bool:
        try:
            await call()
        except RefusedError as refusal:
            return refusal.status == 409
        return True

    await eventually(attempt)


async def outage(namespace: Namespace, group: str, plural: str) -> None:
    """For two seconds the admission webhook of one kind is down."""
    rule = {"apiGroups": [group], "apiVersions": ["*"], "operations": ["*"], "resources": [plural]}
    webhook = {
        "name": "away.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/judge"},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}},
        "rules": [rule],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    made = await namespace.api.call(
        "POST",
        WEBHOOKS,
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": f"chaos-{namespace.name}"},
            "webhooks": [webhook],
        },
    )
    await asyncio.sleep(2)
    await namespace.api.call("DELETE", f"{WEBHOOKS}/{made['metadata']['name']}")


async def shortage(namespace: Namespace) -> None:
    """For two seconds a quota is too small."""
    await namespace.api.create("resourcequotas", QUOTA)
    await asyncio.sleep(2)
    await namespace.api.delete("resourcequotas", QUOTA["metadata"]["name"])


async def kill(operator: OperatorProcess, chance: random.Random) -> None:
    await asyncio.sleep(chance.uniform(0.2, 2.0))
    operator.kill()
    operator.start()
    await operator.ready(within_s=120)


async def disturb(namespace: Namespace, operator: OperatorProcess, proxy: Proxy, cluster: Cluster) -> None:
    """All of it, one round for each time that the operator is killed."""
    chance = random.Random(7)  # noqa: S311 - moments, not keys
    for number in range(KILLS):
        trouble = shortage(namespace) if number % 3 == 1 else outage(namespace, *REFUSED[number % len(REFUSED)])
        await asyncio.gather(trouble, kill(operator, chance))
        proxy.cut()
        if WHOLE and number % 7 == 3:
            await cluster.restart_api_server()


async def settle(namespace: Namespace) -> None:
    """Returns when every agent is as its spec says, in its status too, and every Job has run."""

    async def look() -> bool:
        agents = await namespace.api.list("agenttypes")
        unlike = [(agent["metadata"]["name"], agent.get("status", {}).get("message")) for agent in agents]
        unlike = [each for each, agent in zip(unlike, agents, strict=True) if not is_settled(agent)]
        assert not unlike, unlike[:5]
        return len(agents) == len(NAMES)

    await eventually(look, within_s=PATIENCE_S)


def is_settled(agent: Document) -> bool:
    status, ready = agent.get("status", {}), condition(agent, "Ready")
    ended = status.get("phase") == "Succeeded" or not agent["metadata"]["name"].startswith("once-")
    is_ready = ready.get("status") == "True" and ready.get("reason") != "Progressing"
    return status.get("observedGeneration") == agent["metadata"]["generation"] and is_ready and ended


async def state_of(namespace: Namespace) -> dict[str, list[str]]:
    """What every agent has, by name, without what chance or the server put there."""
    found: dict[str, list[str]] = {}
    for plural in CHILDREN:
        for child in await namespace.api.list(plural, AGENT_LABEL):
            metadata = child["metadata"]
            if any(owner["kind"] == "AgentType" for owner in metadata.get("ownerReferences", ())):
                found.setdefault(metadata["labels"][AGENT_LABEL], []).append(neutral(child, plural, namespace))
    return found


def neutral(child: Document, plural: str, namespace: Namespace) -> str:
    spec = {key: value for key, value in child.get("spec", {}).items() if key not in GIVEN_BY_SERVER}
    if plural == "jobs":  # the controller's own labels carry uids
        spec = {key: spec.get(key) for key in ("suspend", "backoffLimit", "ttlSecondsAfterFinished")}
    data = {key: value for key, value in child.get("data", {}).items() if not key.endswith("-key")}
    return f"{plural} {child['metadata']['name']} {spec} {data}".replace(namespace.name, "NAMESPACE")


@asynccontextmanager
async def undisturbed(cluster: Cluster, hire: Hire, name: str) -> AsyncIterator[Namespace]:
    """The same agents in a namespace where nothing happens."""
    async with open_namespace(cluster, name) as calm:
        hire(calm, *ALONE)
        await create(calm)
        await settle(calm)
        await edit(calm)
        await settle(calm)
        yield calm


async def rest(proxy: Proxy) -> None:
    """Returns when nothing was written for QUIET_S."""

    async def look() -> bool:
        before = len(proxy.writes)
        await asyncio.sleep(QUIET_S)
        written = [(each.method, each.path, each.body) for each in proxy.writes[before:]]
        assert written == [], written[:3]
        return True

    await eventually(look)


async def test_the_end_is_that_of_an_undisturbed_run(
    own_namespace: Namespace, hire: Hire, proxy: Proxy, cluster: Cluster, tmp_path: Path
) -> None:
    operator = hire(own_namespace, *ALONE, "--takeover-s", "600", proxy=proxy)
    await operator.ready()
    other = tmp_path / "other.yaml"
    other.write_text("images: {memory: 'example.com/other-redis:1'}\n")
    async with witnessed(own_namespace) as witness:
        await own_namespace.create("plain-0")
        await own_namespace.reaches("plain-0", "Running", ready="True")  # so both installations know whose it is
        second = ("--lease-name", "second", "--takeover-s", "600", "--platform", str(other))
        hire(own_namespace, *ALONE, *second, proxy=proxy)
        await asyncio.gather(create(own_namespace), disturb(own_namespace, operator, proxy, cluster))
        await asyncio.gather(edit(own_namespace), kill(operator, random.Random(8)))  # noqa: S311 - a moment, no key
        await settle(own_namespace)
        await rest(proxy)
        async with undisturbed(cluster, hire, f"{own_namespace.name}-calm") as calm:

            async def same() -> bool:  # an autoscaler, or what happens after a Job's end, may be late in either
                assert await state_of(own_namespace) == await state_of(calm)
                return True

            await eventually(same)

    assert witness.unfenced() == []
    assert witness.made_twice() == []
    assert witness.count("pods") >= 5 * OF_EACH_KIND
    assert witness.count("jobs") == OF_EACH_KIND
