"""The steps of granting: from a ledger, what gateways have signed, and the time, to the next ledger and its orders.

The order of steps is the caller's duty: a ledger with a larger slice is stored, under a new serial, before the slice
is sent; a smaller slice is sent before it is stored, and is one only once the gateway has said so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from agent_api.budget.grants import GrantOrder, Slice, Standing
from agent_api.budget.ledger import MOST_PODS, BudgetLedger, PodState, Pool, Share, each_pool


def noted(ledger: BudgetLedger, pods: Mapping[str, PodState], now: float) -> BudgetLedger:
    """The ledger after a look at the Pods: what they say of themselves, and which are no more."""
    return each_pool(ledger, lambda pool: _noted(pool, pods, now, ledger.serial))


def _noted(pool: Pool, pods: Mapping[str, PodState], now: float, serial: int) -> Pool:
    for uid, share in pool.shares.items():
        pod = pods.get(uid)
        if pod is None:
            pool = pool.with_share(uid, share if share.gone_at else share.model_copy(update={"gone_at": now}))
        elif pod.ended:
            pool = _settle(pool, pod, share, serial)
        elif share.gone_at:
            pool = pool.with_share(uid, share.model_copy(update={"gone_at": 0.0}))
    for pod in pods.values():
        standing = None if pod.ended else pod.standing(pool)
        if standing is not None and pod.receipt is not None:
            pool = _absorb(pool, pod.uid, standing, is_newest=pod.receipt.serial >= serial)
    return pool


def _settle(pool: Pool, pod: PodState, share: Share, serial: int) -> Pool:
    """A Pod that has ended: what it spent by its last receipt, else all that it could."""
    standing = pod.standing(pool)
    exact = standing is not None and pod.receipt is not None and pod.receipt.serial >= serial
    charge = max(share.spent, standing.spent) if standing is not None and exact else share.charge
    shares = {uid: each for uid, each in pool.shares.items() if uid != pod.uid}
    returned = exact and pool.overrun_pod == pod.uid
    return pool.model_copy(
        update={
            "shares": shares,
            "settled": pool.settled + charge,
            "overrun_pod": "" if returned else pool.overrun_pod,
        }
    )


def _absorb(pool: Pool, uid: str, standing: Standing, *, is_newest: bool) -> Pool:
    """What a living gateway says. Less than was granted is true only when no newer order can still reach it."""
    share = pool.shares.get(uid) or Share()
    cap = standing.cap if is_newest else max(share.cap, standing.cap)
    pool = pool.with_share(uid, Share(cap=cap, spent=max(share.spent, standing.spent)))
    if standing.overrun and not pool.overrun_pod:
        return pool.model_copy(update={"overrun_pod": uid})
    if pool.overrun_pod == uid and is_newest and not standing.overrun:
        return pool.model_copy(update={"overrun_pod": ""})
    return pool


def granted(ledger: BudgetLedger, pods: Mapping[str, PodState]) -> BudgetLedger:
    """The ledger with larger slices for Pods that are low, under a new serial; the same one when none is."""
    after = each_pool(ledger, lambda pool: _granted(pool, pods))
    return ledger if after == ledger else after.model_copy(update={"serial": newest_serial(ledger, pods) + 1})


def newest_serial(ledger: BudgetLedger, pods: Mapping[str, PodState]) -> int:
    """The highest serial that the ledger or a gateway has."""
    return max(ledger.serial, *(pod.receipt.serial for pod in pods.values() if pod.receipt), 0)


def _granted(pool: Pool, pods: Mapping[str, PodState]) -> Pool:
    """First those whose requests wait for what there is: it may have been taken back for them."""
    low = _low(pool, pods)
    free, holder = pool.free, pool.overrun_pod
    for each in sorted(low, key=lambda e: (not 0 < e.unmet <= free, e.uid != holder, -e.wanted, e.uid)):
        raised = min(each.unmet if 0 < each.unmet <= pool.free else each.short, pool.free)
        if raised > 0:
            share = pool.shares.get(each.uid) or Share()
            pool = pool.with_share(each.uid, share.model_copy(update={"cap": share.charge + raised}))
    if low and not pool.overrun_pod and pool.charged <= pool.amount:
        neediest = max(low, key=lambda each: (each.wanted, each.uid))
        return pool.model_copy(update={"overrun_pod": neediest.uid})
    return pool


@dataclass(frozen=True)
class _Low:
    """A Pod with less than it should have: `short` by so much, and `unmet` for a request that waits.

    What would not be enough for the request is not given for it: others can use it.
    """

    uid: str
    short: int
    unmet: int
    wanted: int


def _low(pool: Pool, pods: Mapping[str, PodState]) -> list[_Low]:
    """The Pods that need more, by what their gateways say; one that was not asked gets nothing."""
    living = {uid: pod for uid, pod in pods.items() if not pod.ended and pod.belongs(pool)}
    chunk = max(1, pool.amount // (4 * max(2, len(living))))
    found = []
    for uid, pod in living.items():
        if not _may_hold(pool, pod):
            continue
        standing = pod.standing(pool)
        wanted = standing.wanted if standing else 0
        have = _left(pool.shares.get(uid) or Share(), standing.reserved if standing else 0)
        if have < max(chunk // 2, wanted, 1):
            found.append(_Low(uid, max(0, chunk - have), max(0, wanted - have), wanted))
    return found


def _may_hold(pool: Pool, pod: PodState) -> bool:
    """Whether the Pod's gateway answers in the pool's window; a new one has no standing at all."""
    if pod.receipt is None:
        return False
    has_it = any(each.limit == pool.limit for each in pod.receipt.standings)
    return (pod.standing(pool) is not None or not has_it) and (pod.uid in pool.shares or len(pool.shares) < MOST_PODS)


def _left(held: Share | Standing, reserved: int) -> int:
    """What may still be spent, by the ledger or by what a gateway says, while so much is on its way."""
    return max(0, held.cap - held.spent - reserved)


def reclaimed(ledger: BudgetLedger, pods: Mapping[str, PodState], now: float) -> dict[str, GrantOrder]:
    """Orders, by Pod, that take back what requests elsewhere wait for, or what is above a limit that was lowered.

    They only lower: nothing is stored before they are sent.
    """
    serial = newest_serial(ledger, pods) + 1
    found: dict[str, list[Slice]] = {}
    for pool in ledger.pools:
        for uid, each in _reclaimed(pool, pods).items():
            found.setdefault(uid, []).append(each)
    return {
        uid: GrantOrder(serial=serial, issued_at=now, lowers=True, slices=tuple(slices))
        for uid, slices in found.items()
    }


def _reclaimed(pool: Pool, pods: Mapping[str, PodState]) -> dict[str, Slice]:
    waiting = _low(pool, pods)
    excess = pool.charged - pool.amount
    shortage = sum(each.unmet for each in waiting) + excess  # a negative excess is what is free
    if shortage <= 0:
        return {}
    found = {}
    for uid, standing in _givers(pool, pods, busy_too=excess > 0):
        taken = min(_left(standing, standing.reserved), shortage)
        if taken > 0:
            shortage -= taken
            found[uid] = Slice(limit=pool.limit, window=pool.window, cap=standing.cap - taken, overrun=standing.overrun)
    holder = pods.get(pool.overrun_pod)
    held = holder.standing(pool) if holder is not None and not holder.ended else None
    others = any(each.unmet and each.uid != pool.overrun_pod for each in waiting)
    if held is not None and others and shortage > 0 and not (held.wanted and _left(held, held.reserved)):
        cap = found[pool.overrun_pod].cap if pool.overrun_pod in found else held.cap
        found[pool.overrun_pod] = Slice(limit=pool.limit, window=pool.window, cap=cap)
    return found


def _givers(pool: Pool, pods: Mapping[str, PodState], *, busy_too: bool) -> list[tuple[str, Standing]]:
    """Pods whose gateway has nothing on its way and asks for nothing, or all; those that have most left first."""
    found = []
    for uid in pool.shares:
        pod = pods.get(uid)
        standing = pod.standing(pool) if pod is not None and not pod.ended else None
        if standing is not None and (busy_too or not (standing.wanted or standing.reserved)):
            found.append((uid, standing))
    return sorted(found, key=lambda each: (-_left(each[1], each[1].reserved), each[0]))


def order_for(ledger: BudgetLedger, pod: PodState, now: float) -> GrantOrder:
    """What the ledger says to one Pod."""
    slices = tuple(
        Slice(
            limit=pool.limit,
            window=pool.window,
            cap=(pool.shares.get(pod.uid) or Share()).cap,
            overrun=pool.overrun_pod == pod.uid,
            exhausted=not pool.free,
        )
        for pool in ledger.pools
        if pod.belongs(pool)
    )
    return GrantOrder(serial=ledger.serial, issued_at=now, slices=slices)
