"""Whether the other routes could have carried what the first one answers, found out before it is down.

A request that the first route has answered is translated for each of the others, and not sent. At most one a second is
tried, a moment after its answer: that costs nobody any time.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from agent_llmgateway.errors import NotCarriedError
from agent_llmgateway.failover.dependencies import RoutePlan
from agent_llmgateway.metrics.prometheus import Metrics
from agent_llmgateway.metrics.providerstats import ProviderStats
from agent_llmgateway.providererrors.lessons import NO_OPTIONS, Options

LARGEST_BYTES: Final = 4 << 20
"""Of a request: a larger one would hold the loop for too long."""
PAUSE_S: Final = 1.0
AFTER_S: Final = 0.05
Prepare = Callable[[RoutePlan, Options], object]


class Rehearsal:
    """One for the process."""

    def __init__(self, metrics: Metrics, stats: ProviderStats, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._stats = stats
        self._clock = clock
        self._not_before = 0.0

    def offer(self, size_bytes: int, plans: Sequence[RoutePlan], prepare: Prepare) -> None:
        """Prepare a request for all but the first of `plans`, later, unless another one was tried just now."""
        if len(plans) < 2 or size_bytes > LARGEST_BYTES or (now := self._clock()) < self._not_before:
            return
        self._not_before = now + PAUSE_S
        asyncio.get_running_loop().call_later(AFTER_S, self._rehearse, plans[1:], prepare)

    def _rehearse(self, plans: Sequence[RoutePlan], prepare: Prepare) -> None:
        for plan in plans:
            provider, refusal = plan.route.provider, ""
            try:
                prepare(plan, NO_OPTIONS)
            except NotCarriedError as error:
                refusal = error.message
                self._metrics.note_not_carried(provider)
            self._stats.note_rehearsal(provider, refusal)
