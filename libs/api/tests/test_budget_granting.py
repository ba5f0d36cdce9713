"""The steps of granting, one by one: who gets a slice, who gives one back, and what is believed of whom."""

from agent_api.budget.granting import granted, noted, order_for, reclaimed
from agent_api.budget.grants import GrantReceipt, Holdings, Standing, obey, receipt_of
from agent_api.budget.ledger import BudgetLedger, PodState, Pool, Share, opened
from agent_api.budget.limits import window_at

HOUR = "tokensPerHour"
NOW = 1_800_000_000.0
WINDOW = window_at("hour", NOW)
EMPTY = BudgetLedger()


def heard(uid: str, serial: int = 0, run: str = "", **standing: int) -> PodState:
    """A Pod whose gateway has answered."""
    each = Standing.model_validate({"limit": HOUR, "window": WINDOW, "cap": 0, "spent": 0, **standing})
    standings = (each,) if standing else ()
    return PodState(uid, run=run, receipt=GrantReceipt(serial=serial, standings=standings))


def ledger_of(amount: int, *pods: PodState, ledger: BudgetLedger = EMPTY, at: float = NOW) -> BudgetLedger:
    found = {pod.uid: pod for pod in pods}
    return granted(noted(opened(ledger, {HOUR: amount}, (), (), at), found, at), found)


def caps(ledger: BudgetLedger) -> dict[str, int]:
    return {uid: share.cap for uid, share in ledger.pools[0].shares.items()}


def test_a_new_pod_gets_a_part_and_the_first_one_may_go_over() -> None:
    ledger = ledger_of(800, heard("a"), heard("b"))
    assert caps(ledger) == {"a": 100, "b": 100}
    assert ledger.pools[0].overrun_pod == "b"
    assert ledger.serial == 1
    assert [each.overrun for each in order_for(ledger, heard("b"), NOW).slices] == [True]


def test_a_pod_that_does_not_answer_gets_nothing() -> None:
    assert caps(ledger_of(800, heard("a"), PodState("b"))) == {"a": 100}


def test_an_agent_at_rest_changes_nothing() -> None:
    ledger = ledger_of(800, heard("a"))
    again = ledger_of(800, heard("a", serial=1, cap=100, overrun=1), ledger=ledger)
    assert again == ledger
    later = opened(ledger, {HOUR: 800}, (), (), NOW + 90_000)
    assert caps(later) == {"a": 100}
    assert granted(later, {}) is later


def test_a_request_gets_what_it_waits_for_from_pods_at_rest() -> None:
    ledger = ledger_of(800, heard("a"), heard("b"))
    pods = {"a": heard("a", serial=1, cap=100, wanted=790), "b": heard("b", serial=1, cap=100, spent=10)}
    ledger = noted(ledger, pods, NOW)
    (uid, order), *rest = reclaimed(ledger, pods, NOW).items()
    assert (uid, order.lowers, order.slices[0].cap, rest) == ("b", True, 10, [])
    pods["b"] = heard("b", serial=order.serial, cap=10, spent=10)
    after = granted(noted(ledger, pods, NOW), pods)
    assert caps(after) == {"a": 790, "b": 10}
    assert after.serial == order.serial + 1


def test_what_was_not_given_back_is_not_given_away() -> None:
    ledger = ledger_of(800, heard("a"), heard("b"))
    pods = {"a": heard("a", serial=1, cap=100, wanted=800), "b": heard("b", cap=0)}  # an order may still reach b
    assert caps(granted(noted(ledger, pods, NOW), pods))["b"] == 100


def test_what_no_budget_has_room_for_takes_nothing_from_the_others_but_goes_alone() -> None:
    ledger = ledger_of(800, heard("a"), heard("b"))
    pods = {
        "a": heard("a", serial=1, cap=100, spent=40, wanted=5000),
        "b": heard("b", serial=1, cap=100, reserved=50, overrun=1),
    }
    ledger = noted(ledger, pods, NOW)
    taking = reclaimed(ledger, pods, NOW)
    assert {uid: (order.slices[0].cap, order.slices[0].overrun) for uid, order in taking.items()} == {"b": (100, False)}
    pods["b"] = heard("b", serial=2, cap=100, reserved=50)
    after = granted(noted(ledger, pods, NOW), pods)
    assert caps(after) == {"a": 140, "b": 100}
    assert after.pools[0].overrun_pod == "a"


def test_a_pod_that_is_gone_counts_as_having_spent_its_slice_and_one_that_gave_back_does_not() -> None:
    ledger = ledger_of(800, heard("a"), heard("b"))
    last = GrantReceipt(serial=1, standings=(Standing(limit=HOUR, window=WINDOW, cap=30, spent=30),))
    after = noted(ledger, {"a": PodState("a", ended=True, receipt=last)}, NOW)
    assert (after.pools[0].charged, after.pools[0].settled) == (130, 30)
    old = GrantReceipt(serial=0, standings=last.standings)
    assert noted(ledger, {"a": PodState("a", ended=True, receipt=old)}, NOW).pools[0].settled == 100
    assert caps(opened(after, {HOUR: 800}, (), (), NOW + 900)) == {"b": 100}
    assert caps(opened(after, {HOUR: 800}, (), (), NOW + 3 * 3600)) == {}


def test_runs_have_budgets_of_their_own_that_outlive_their_pods() -> None:
    name = "tokensPerRun"
    ledger = opened(EMPTY, {name: 800}, {"job-1", "job-2"}, (), NOW)
    pods = {"a": PodState("a", "job-1", receipt=GrantReceipt(serial=0))}
    ledger = granted(noted(ledger, pods, NOW), pods)
    assert [(pool.run, sorted(pool.shares)) for pool in ledger.pools] == [("job-1", ["a"]), ("job-2", [])]
    kept = opened(noted(ledger, {}, NOW), {name: 800}, (), {"job-1"}, NOW + 10**6)
    assert [(pool.run, pool.charged) for pool in kept.pools] == [("job-1", 100)]
    assert opened(kept, {name: 800}, (), (), NOW).pools == ()


def test_a_limit_that_is_lowered_takes_back_what_is_above_it() -> None:
    ledger = opened(ledger_of(800, heard("a"), heard("b")), {HOUR: 120}, (), (), NOW)
    pods = {"a": heard("a", serial=1, cap=100, reserved=60), "b": heard("b", serial=1, cap=100)}
    taking = reclaimed(noted(ledger, pods, NOW), pods, NOW)
    assert {uid: order.slices[0].cap for uid, order in taking.items()} == {"b": 20}


def test_a_lost_ledger_is_begun_with_what_gateways_hold() -> None:
    after = ledger_of(800, heard("a", serial=7, cap=500, spent=300))
    assert caps(after) == {"a": 500}
    assert after.pools[0].spent == 300


def test_a_gateway_lowers_by_an_order_that_only_lowers() -> None:
    holdings = Holdings()
    ledger = ledger_of(800, heard("a"))
    holdings = obey(holdings, order_for(ledger, PodState("a"), NOW), {}, NOW)
    pods = {"a": PodState("a", receipt=receipt_of(holdings, {}, {}))}
    higher = order_for(ledger, pods["a"], NOW).model_copy(update={"lowers": True, "serial": 9})
    raised = higher.model_copy(update={"slices": tuple(each.model_copy(update={"cap": 700}) for each in higher.slices)})
    assert obey(holdings, raised, {}, NOW).held[HOUR].cap == 100


def pool_after(pod: PodState, share: Share, *, overrun_pod: str = "", serial: int = 5) -> Pool:
    """The pool of a ledger with one Pod after a look at that."""
    pool = Pool(limit=HOUR, window=WINDOW, amount=800, shares={"a": share}, overrun_pod=overrun_pod)
    (after,) = noted(BudgetLedger(serial=serial, pools=(pool,)), {"a": pod}, NOW).pools
    return after


def test_a_pod_that_is_there_again_is_not_missing() -> None:
    assert pool_after(PodState("a"), Share(cap=9, gone_at=NOW - 9)).shares["a"] == Share(cap=9)


def test_less_is_believed_only_when_no_order_can_still_arrive() -> None:
    for serial, cap, holder in ((4, 100, "a"), (5, 30, ""), (6, 30, "")):
        after = pool_after(heard("a", serial=serial, cap=30), Share(cap=100), overrun_pod="a")
        assert (after.shares["a"].cap, after.overrun_pod) == (cap, holder)
    assert pool_after(heard("a", serial=4, cap=120), Share(cap=100)).shares["a"].cap == 120


def test_nobody_may_go_over_a_limit_that_one_has_gone_over_already() -> None:
    for spent, holder in ((800, "a"), (801, "")):
        pool = Pool(limit=HOUR, window=WINDOW, amount=800, settled=spent)
        (after,) = granted(BudgetLedger(pools=(pool,)), {"a": heard("a", wanted=5)}).pools
        assert after.overrun_pod == holder
