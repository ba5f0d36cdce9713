"""Two operators: one works, the other is ready to."""

import asyncio
import time

import pytest
from integration.cluster import Cluster
from integration.namespace import Namespace
from integration.operating import Hire, OperatorProcess
from integration.proxy import Proxy, open_proxy
from integration.waiting import eventually, throughout

pytestmark = pytest.mark.step1

LEASE_S = 15.0
HAND_OVER_S = 5.0
"""What a release at SIGTERM promises."""


async def pair(namespace: Namespace, hire: Hire, proxy: Proxy | None = None) -> tuple[OperatorProcess, OperatorProcess]:
    """A leader and a standby with warm caches."""
    leader = hire(namespace, proxy=proxy)
    await leader.ready()
    await eventually(leader.leads)
    standby = hire(namespace)
    await standby.ready()
    assert not await standby.leads()
    return leader, standby


async def seconds_until(operator: OperatorProcess, *, within_s: float) -> float:
    """How long from now until it leads."""
    started = time.monotonic()
    await eventually(operator.leads, within_s=within_s)
    return time.monotonic() - started


async def test_one_of_two_works_and_sigterm_hands_over(own_namespace: Namespace, hire: Hire) -> None:
    leader, standby = await pair(own_namespace, hire)
    await own_namespace.create("first")
    await own_namespace.reaches("first", "Running", ready="True")
    assert await leader.metric("controller_runtime_reconcile_total") > 0
    assert await standby.metric("controller_runtime_reconcile_total") == 0

    ending = asyncio.create_task(leader.terminate())
    taken_over_s = await seconds_until(standby, within_s=3 * HAND_OVER_S)
    assert await ending == 0

    assert taken_over_s < HAND_OVER_S
    await own_namespace.create("second")
    await own_namespace.reaches("second", "Running", ready="True")
    lease = await own_namespace.api.get("leases", "agentberth-operator")
    assert lease["spec"]["holderIdentity"] == "operator-2"
    assert lease["spec"]["leaseTransitions"] == 1
    assert leader.problems() == standby.problems() == []


async def test_standby_takes_over_when_the_lease_of_a_killed_leader_ends(own_namespace: Namespace, hire: Hire) -> None:
    leader, standby = await pair(own_namespace, hire)

    leader.kill()
    await own_namespace.create("orphan")
    await seconds_until(standby, within_s=LEASE_S + HAND_OVER_S)

    await own_namespace.reaches("orphan", "Running", ready="True")


async def test_leader_that_cannot_reach_the_server_is_gone_before_another_leads(
    own_namespace: Namespace, hire: Hire, cluster: Cluster
) -> None:
    async with open_proxy(cluster.access) as proxy:
        leader, standby = await pair(own_namespace, hire, proxy)
        both: list[bool] = []

        async def never_both() -> None:
            leads = await standby.leads()
            both.append(leads and leader.running and await leader.leads())

        proxy.freeze()
        started = time.monotonic()
        await throughout(never_both, for_s=LEASE_S)
        await seconds_until(standby, within_s=LEASE_S + HAND_OVER_S - (time.monotonic() - started))

    assert not any(both)
    assert not leader.running
    assert "Traceback" not in leader.text
    await own_namespace.create("orphan")
    await own_namespace.reaches("orphan", "Running", ready="True")
