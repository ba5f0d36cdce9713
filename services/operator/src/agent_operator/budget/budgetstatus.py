"""The ledger of a budget as `status.llmStatus.budget`: for people first, and whole for the next operator."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from agent_api.budget.ledger import BudgetLedger, Pool
from agent_api.budget.limits import LIMITS, MICRO, show_amount, window_end

Plain = dict[str, Any]


def read_ledger(shown: Mapping[str, Any] | None) -> BudgetLedger:
    """The ledger in a status. One that is damaged begins anew: what gateways hold is told by their receipts."""
    try:
        return BudgetLedger.model_validate((shown or {}).get("ledger", {}))
    except ValidationError:
        return BudgetLedger()


def show_ledger(ledger: BudgetLedger) -> Plain:
    """`llmStatus.budget`."""
    return {
        "summary": "; ".join(_sentence(pool) for pool in ledger.pools if not pool.run)
        or "; ".join(_sentence(pool) for pool in ledger.pools[-1:]),
        "limits": [_limit(pool) for pool in ledger.pools],
        "ledger": ledger.model_dump(mode="json", by_alias=True),
    }


def spent_by(ledger: BudgetLedger) -> dict[tuple[str, str], int]:
    """What was spent of each limit, as far as gateways have said."""
    return {(pool.limit, pool.run): pool.spent for pool in ledger.pools}


def held_by(ledger: BudgetLedger) -> dict[tuple[str, str, str], bool]:
    """Which Pods hold a slice, and whether they are gone: what has to be stored when it changes."""
    return {
        (pool.limit, pool.run, uid): share.gone_at > 0 for pool in ledger.pools for uid, share in pool.shares.items()
    }


def _sentence(pool: Pool) -> str:
    kind = LIMITS[pool.limit]
    return f"{show_amount(kind, pool.spent)} of {show_amount(kind, pool.amount)} {kind.words}"


def _limit(pool: Pool) -> Plain:
    kind, ends_at = LIMITS[pool.limit], window_end(LIMITS[pool.limit].window, pool.window)
    scale = 1 if kind.unit == "tokens" else MICRO
    return {
        "name": pool.limit,
        **({"run": pool.run} if pool.run else {}),
        "limit": pool.amount / scale if scale > 1 else pool.amount,
        "spent": pool.spent / scale if scale > 1 else pool.spent,
        "granted": pool.charged / scale if scale > 1 else pool.charged,
        **(
            {} if ends_at is None else {"resetsAt": datetime.fromtimestamp(ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        ),
    }
