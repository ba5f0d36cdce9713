"""Every rule of `agent_api.budget.granting`, and what it would be without it: a name, the text, and another text.

A row whose text is not there exactly once fails, so the table cannot be left behind. Not here are rules that
only save a pass, and those for moments that a world comes to once in hundreds: `test_budget_granting` has them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """`text` of the module is what keeps a rule, `without` what would not."""

    name: str
    text: str
    without: str


RULES = (
    Rule("a missing Pod is noted once", "share if share.gone_at else share.model_copy", "share.model_copy"),
    Rule("a missing Pod is noted", 'share.model_copy(update={"gone_at": now})', "share"),
    Rule("a Pod that has ended is settled", "elif pod.ended:", "elif pod.ended and pod.receipt is None:"),
    Rule(
        "what a Pod has said before it ended is not absorbed",
        "None if pod.ended else pod.standing(pool)",
        "pod.standing(pool)",
    ),
    Rule(
        "a receipt is the last word only when no order came after it",
        "exact = standing is not None and pod.receipt is not None and pod.receipt.serial >= serial",
        "exact = standing is not None",
    ),
    Rule(
        "a Pod without a last word has spent all",
        "standing is not None and exact else share.charge",
        "standing is not None and exact else share.spent",
    ),
    Rule("a settled Pod leaves what it spent", '"settled": pool.settled + charge', '"settled": pool.settled'),
    Rule("a settled Pod holds nothing", "if uid != pod.uid}", "if uid}"),
    Rule(
        "who may go over comes back only by a last word",
        "returned = exact and pool.overrun_pod",
        "returned = pool.overrun_pod",
    ),
    Rule("who may go over comes back", "returned = exact and pool.overrun_pod == pod.uid", "returned = False"),
    Rule(
        "less is true then",
        "cap = standing.cap if is_newest else max(share.cap, standing.cap)",
        "cap = max(share.cap, standing.cap)",
    ),
    Rule("what was spent is noted", "spent=max(share.spent, standing.spent)", "spent=share.spent"),
    Rule("an overrun is given up", "pool.overrun_pod == uid and is_newest and not standing.overrun", "False"),
    Rule(
        "a larger slice has a new serial",
        '{"serial": newest_serial(ledger, pods) + 1}',
        '{"serial": newest_serial(ledger, pods)}',
    ),
    Rule("no more is granted than is free", "else each.short, pool.free)", "else each.short, pool.amount)"),
    Rule("a slice begins at what was spent", '{"cap": share.charge + raised}', '{"cap": share.spent + raised}'),
    Rule("a slice is granted", "if raised > 0:", "if raised > pool.amount:"),
    Rule("a request that waits is served first", "not 0 < e.unmet <= free, e.uid != holder", "e.uid != holder"),
    Rule("one may go over", "if low and not pool.overrun_pod and", "if low and"),
    Rule("somebody may go over", 'return pool.model_copy(update={"overrun_pod": neediest.uid})', "return pool"),
    Rule("who has ended gets nothing", "if not pod.ended and pod.belongs(pool)}", "if pod.belongs(pool)}"),
    Rule("who was not heard of gets nothing", "    if pod.receipt is None:\n        return False\n", ""),
    Rule("what is wanted makes a Pod low", "have < max(chunk // 2, wanted, 1)", "have < chunk // 2"),
    Rule("idle Pods give back", "if shortage <= 0:", "if shortage < pool.amount:"),
    Rule("only what is left is taken back", "max(0, held.cap - held.spent - reserved)", "max(0, held.cap - reserved)"),
    Rule(
        "an order to give back is newer than all",
        "serial = newest_serial(ledger, pods) + 1",
        "serial = newest_serial(ledger, pods)",
    ),
    Rule(
        "the right to go over moves to who needs it",
        "held is not None and others and shortage > 0",
        "held is not None and others and shortage > pool.amount",
    ),
    Rule("an order says who may go over", "overrun=pool.overrun_pod == pod.uid", "overrun=True"),
    Rule("an order says so to that Pod", "overrun=pool.overrun_pod == pod.uid", "overrun=False"),
    Rule("an order says what was granted", "cap=(pool.shares.get(pod.uid) or Share()).cap,", "cap=pool.amount,"),
    Rule("an order says when nothing is left", "exhausted=not pool.free,", "exhausted=False,"),
    Rule("an order does not say so before", "exhausted=not pool.free,", "exhausted=True,"),
)
