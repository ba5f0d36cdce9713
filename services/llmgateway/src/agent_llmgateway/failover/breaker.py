"""Circuit breakers: a route that fails is left alone for a while, then asked with one probe.

One breaker per (provider, model, key). It opens after a number of failures in a row, or for as long as the
provider asked. A told cool-down can be made longer by a later one, never shorter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from agent_llmgateway.providererrors.classify import Failure

State = Literal["closed", "open", "half-open"]

MOST_BREAKERS: Final = 4096
"""Model names can come from the agent (`provider/any-name`): closed and idle ones are forgotten beyond this."""


class BreakerKey(NamedTuple):
    """What a breaker is for. `key` is the key's file name, `mark` tells one value of it from the next."""

    provider: str
    model: str
    key: str = ""
    mark: str = ""


@dataclass(slots=True)
class Breaker:
    """State of one route. All times are of the board's clock, in seconds."""

    failures: int = 0
    open_until: float = 0.0
    probing: bool = False
    reason: Failure | None = None
    """The last failure: what is told while the route is left alone."""

    def state(self, now: float) -> State:
        """`half-open` is the time between the end of the cool-down and the outcome of the probe."""
        if not self.open_until:
            return "closed"
        return "open" if now < self.open_until else "half-open"


class BreakerBoard:
    """All breakers of the process; survives a change of the configuration."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._breakers: dict[BreakerKey, Breaker] = {}

    def state(self, key: BreakerKey) -> State:
        breaker = self._breakers.get(key)
        return breaker.state(self._clock()) if breaker else "closed"

    def remaining_s(self, key: BreakerKey) -> float:
        """Seconds until a probe is allowed; 0 when it is."""
        breaker = self._breakers.get(key)
        return max(0.0, breaker.open_until - self._clock()) if breaker else 0.0

    def failures(self, key: BreakerKey) -> int:
        """Failures in a row."""
        breaker = self._breakers.get(key)
        return breaker.failures if breaker else 0

    def reason(self, key: BreakerKey) -> Failure | None:
        """The last failure, while it counts."""
        breaker = self._breakers.get(key)
        return breaker.reason if breaker else None

    def known(self) -> list[BreakerKey]:
        """Every route that was ever asked and is remembered."""
        return list(self._breakers)

    def newest(self) -> list[BreakerKey]:
        """Of each provider, model and key file the breaker of the value that was asked with last."""
        return list({(key.provider, key.model, key.key): key for key in self._breakers}.values())

    def allow(self, key: BreakerKey) -> bool:
        """Whether the route may be asked now. Half-open, only one caller is let through until it has reported."""
        breaker = self._breakers.get(key)
        if breaker is None or not breaker.open_until:
            return True
        if self._clock() < breaker.open_until or breaker.probing:
            return False
        breaker.probing = True
        return True

    def begin(self, key: BreakerKey) -> None:
        """A stream of the route has begun: it works again, but its failures are forgotten only at its good end."""
        breaker = self._breakers.get(key) or self._add(key)
        breaker.open_until, breaker.probing = 0.0, False

    def succeed(self, key: BreakerKey) -> None:
        breaker = self._breakers.get(key)
        if breaker is None:
            self._add(key)
        elif breaker.failures or breaker.open_until or breaker.probing:
            breaker.failures, breaker.open_until, breaker.probing, breaker.reason = 0, 0.0, False, None

    def fail(self, key: BreakerKey, failure: Failure, *, threshold: int, open_s: float) -> None:
        """The route failed and perhaps asked for a cool-down. A failed probe opens the breaker again."""
        breaker = self._breakers.get(key) or self._add(key)
        cooldown_s, breaker.reason = failure.retry_after_s, failure
        breaker.failures += 1
        was_probe, breaker.probing = breaker.probing, False
        now = self._clock()
        if cooldown_s:
            breaker.open_until = max(breaker.open_until, now + cooldown_s)
        elif was_probe or breaker.failures >= threshold:
            breaker.open_until = max(breaker.open_until, now + open_s)

    def release(self, key: BreakerKey) -> None:
        """The try ended without a verdict, as when the client went away: the probe is free again."""
        breaker = self._breakers.get(key)
        if breaker is not None:
            breaker.probing = False

    def _add(self, key: BreakerKey) -> Breaker:
        if len(self._breakers) >= MOST_BREAKERS:
            idle = [each for each, b in self._breakers.items() if not b.failures and not b.open_until]
            for each in idle or list(self._breakers)[: MOST_BREAKERS // 4]:
                del self._breakers[each]
        breaker = self._breakers[key] = Breaker()
        return breaker
