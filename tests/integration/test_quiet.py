"""When nothing changes, nothing is written; and what is kept from eyes stays so."""

import base64
import json
from functools import partial

import pytest
from integration.api import Document
from integration.namespace import NGINX, Namespace
from integration.operating import Hire
from integration.proxy import Proxy
from integration.waiting import eventually

pytestmark = pytest.mark.step1

RESYNCS = 50
AGENTS = 5


@pytest.mark.long
async def test_nothing_is_written_over_fifty_resyncs(own_namespace: Namespace, hire: Hire, proxy: Proxy) -> None:
    operator = hire(own_namespace, "--resync-s", "1", "--leader-election=false", proxy=proxy)
    kinds: list[Document] = [
        {},
        {"agent": {**NGINX, "environment": {"files": [{"path": "a", "content": "b"}]}}, "replicas": 2},
        {"workload": {"kind": "Job"}},
        {"workload": {"kind": "CronJob", "schedule": "0 3 1 1 *"}},
        {"memory": {"size": "16Mi"}},
    ]
    for number, spec in enumerate(kinds):
        await own_namespace.create(f"quiet-{number}", **spec)
    for number, phase in enumerate(("Running", "Running", "Succeeded", "Pending", "Running")):
        await own_namespace.reaches(f"quiet-{number}", phase, ready="True")

    async def passes() -> float:
        return await operator.metric("controller_runtime_reconcile_total")

    async def passed(goal: float) -> bool:
        return await passes() >= goal

    reached = await passes()
    await eventually(lambda: passed(reached + 3 * AGENTS))  # a Job gets its time to live after its end was told
    start, written = await passes(), len(proxy.writes)
    versions = await resource_versions(own_namespace)

    await eventually(lambda: passed(start + RESYNCS * AGENTS), within_s=RESYNCS * 2)

    assert proxy.writes[written : written + 1] == []
    assert await resource_versions(own_namespace) == versions


async def resource_versions(namespace: Namespace) -> dict[str, str]:
    agents = await namespace.api.list("agenttypes")
    return {agent["metadata"]["name"]: agent["metadata"]["resourceVersion"] for agent in agents}


async def all_told(namespace: Namespace, count: int) -> bool:
    """Whether the events of `count` agents that became ready are written: they come behind the status."""
    ready = [event for event in await namespace.api.list("events") if event["reason"] == "Ready"]
    return len(ready) >= count


async def test_restart_writes_nothing_but_one_apply_of_each_shape(
    own_namespace: Namespace, hire: Hire, proxy: Proxy
) -> None:
    """What was applied is known from the objects themselves."""
    operator = hire(own_namespace, "--leader-election=false", proxy=proxy)
    names = [f"quiet-{number}" for number in range(12)]
    for name in names:
        await own_namespace.create(name)
    for name in names:
        await own_namespace.reaches(name, "Running", ready="True")
    await eventually(partial(all_told, own_namespace, len(names)))
    versions = await resource_versions(own_namespace)
    operator.kill()
    written = len(proxy.writes)
    operator.start()
    await operator.ready()

    async def all_seen() -> bool:
        return await operator.metric("controller_runtime_reconcile_total") >= len(names)

    await eventually(all_seen)

    assert await resource_versions(own_namespace) == versions
    again = proxy.writes[written:]
    assert {each.method for each in again} <= {"PATCH"}
    assert len(again) < 2 * len(names)


CANARY = "canary-7Qx2-not-to-be-shown"


async def test_secret_values_are_nowhere_to_be_read(own_namespace: Namespace, hire: Hire) -> None:
    """Not in status, not in events, not in the log at its most talkative."""
    operator = hire(own_namespace, "--leader-election=false", "--log-level", "debug", "--resync-s", "1")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}}
    await own_namespace.api.create("secrets", {**secret, "data": {"key": base64.b64encode(CANARY.encode()).decode()}})
    variables = [
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}},
        {"name": "LITERAL", "value": CANARY},
    ]
    glue = {"glueCode": {"source": "/shared/glue.py"}, "files": [{"path": "glue.py", "content": f"KEY = '{CANARY}'"}]}
    environment = {"variables": variables, **glue}
    await own_namespace.create("keeper", agent={**NGINX, "command": ["run", CANARY], "environment": environment})
    await own_namespace.reaches("keeper", "Running", ready="True")
    await own_namespace.create("refused", agent={**NGINX, "environment": environment}, workload=impossible())
    await own_namespace.says("refused", "ApplyRefused")
    await own_namespace.edit("keeper", suspend=True)
    await own_namespace.says("keeper", "Suspended")

    shown = [(await own_namespace.agent(name))["status"] for name in ("keeper", "refused")]
    for name in ("keeper", "refused"):
        shown += await own_namespace.events(name)

    assert shown
    assert CANARY not in json.dumps(shown)
    assert base64.b64encode(CANARY.encode()).decode() not in json.dumps(shown)
    assert CANARY not in operator.text
    assert any(line["level"] == "debug" for line in operator.lines())


def impossible() -> dict[str, object]:
    """A schedule that the server refuses: only it knows which time zones there are."""
    return {"kind": "CronJob", "schedule": "@hourly", "timeZone": "Mars/Phobos"}
