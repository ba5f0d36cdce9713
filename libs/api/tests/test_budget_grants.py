"""Grants: whatever is killed, lost, late or repeated, an agent spends no more in a window than its limit.

And once nothing goes wrong any more, all of the limit can be spent. Each rule of `agent_api.budget.granting` is needed
for that: `RULES` has every one with what it would be without it, and the worlds below have to find each of these out.
"""

import os
import random
import sys
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from libs.api.tests.granting_rules import RULES, Rule
from libs.api.tests.granting_world import AMOUNTS, HOUR, Rules, World

from agent_api.budget import granting
from agent_api.budget.ledger import Pool

WHOLE = bool(os.environ.get("AGENTBERTH_WHOLE"))
STEPS = 250
PATIENCE = 6
"""Passes after which a request that waits has been told to have been in vain."""
HOURS_S = 3 * 3600.0
QUARTER_S = 900.0
WORLDS = 250
"""After which a rule would be one that nothing needs."""


def live(seed: int, rules: Rules) -> None:
    """A world with all its faults, then a calm one. Raises AssertionError."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    world = World(rng, rng.randint(1, 3), rules)
    for _ in range(STEPS):
        world.step()
        check_sums(world)
    world.settle_down()
    check_sums(world)
    check_memory(world)
    check_the_rest_is_spent(world)
    check_an_end(world)
    for _ in range(16):
        world.now += QUARTER_S
        world.pass_through(1)
    check_memory(world)
    check_the_rest_is_spent(world)
    check_sums(world)


def check_sums(world: World) -> None:
    """What was spent and may be spent is below the limit; one request may go over."""
    for (name, _), amount in world.granted_in_sum().items():
        assert amount < AMOUNTS[name] + world.largest
    for pool in world.stored.pools:
        assert pool.charged < pool.amount + world.largest


def check_memory(world: World) -> None:
    """Pods that have ended are settled; those that are gone are forgotten when their slices are void for certain."""
    for pool in world.stored.pools:
        for uid, share in pool.shares.items():
            assert uid not in world.ended
            if uid not in world.pods:
                assert share.gone_at
                assert pool.limit != HOUR or world.vanished_at[uid] >= world.now - HOURS_S


def is_served(world: World, uid: str, amount: int) -> bool:
    """Whether a request of a Pod gets through within a few passes."""
    gateway = world.pods[uid]
    for _ in range(PATIENCE):
        if gateway.ask(amount, world.now):
            gateway.settle(world.now, world.spent)
            return True
        world.pass_through(1)
    return False


def check_the_rest_is_spent(world: World) -> None:
    """One Pod that asks again and again gets all that is left, also what others hold, and is told when it is all."""
    if not world.pods:
        return
    uid = max(world.pods)
    amount = min(world.largest, 50)
    while is_served(world, uid, amount):
        pass
    unspent = {pool.limit: left_of(world, pool) for pool in world.stored.pools}
    assert min(unspent.values()) < amount, unspent
    binding = [pool for pool in world.stored.pools if unspent[pool.limit] < amount]
    world.pass_through(1)
    orders = {each.limit: each for each in world.pods[uid].seen[-1].slices}
    assert all(orders[pool.limit].exhausted == (pool.free == 0) for pool in world.stored.pools)
    if all(pool.overrun_pod in world.pods for pool in binding):
        assert min(unspent.values()) <= 0


def check_an_end(world: World) -> None:
    """Who may go over and ends leaves that to another one."""
    holders = {pool.overrun_pod for pool in world.stored.pools} & set(world.pods)
    for uid in holders:
        world.stop(uid)
        del world.pods[uid]
        world.ended[uid] = world.last[uid]
    world.pass_through(2)
    assert not holders & {pool.overrun_pod for pool in world.stored.pools}


def left_of(world: World, pool: Pool) -> int:
    """What nobody has spent, and no Pod that is gone may still spend."""
    gone = sum(share.charge for uid, share in pool.shares.items() if uid not in world.pods)
    held = (gateway.holdings.held.get(pool.limit) for gateway in world.pods.values())
    spent = sum(each.spent for each in held if each is not None and each.window == pool.window)
    return pool.amount - pool.settled - gone - spent


@settings(max_examples=3000 if WHOLE else 12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**63))
def test_no_window_is_overspent_by_more_than_one_request_and_all_of_it_can_be_spent(seed: int) -> None:
    live(seed, granting)


def without(rule: Rule) -> ModuleType:
    """The steps of granting without one rule."""
    source = Path(granting.__file__).read_text("utf-8")
    assert source.count(rule.text) == 1, rule.name
    module = ModuleType("granting_without")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(source.replace(rule.text, rule.without), rule.name, "exec"), module.__dict__)  # noqa: S102 - our own
    return module


SAMPLE = RULES if WHOLE else random.Random(3).sample(RULES, 3)  # noqa: S311 - a sample


@pytest.mark.parametrize("rule", SAMPLE, ids=lambda rule: rule.name)
def test_a_world_without_a_rule_is_found_out(rule: Rule) -> None:
    rules = without(rule)
    for seed in count():
        assert seed < WORLDS, f"no world fails without: {rule.name}"
        try:
            live(seed, rules)
        except (AssertionError, KeyError):
            return


def test_each_rule_is_where_the_table_says() -> None:
    for rule in RULES:
        assert rule.text != rule.without
        without(rule)
