"""The requests that wait for an answer on one link, and whose client a message can be meant for that names none.

By stdio, and in a server's stream of its own, nothing says which call a log message or a question belongs to. It goes
to a client only when calls of that one client alone are running: no client ever sees what is another's.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from agent_toolproxy.call import Caller
from agent_toolproxy.mcp.link import Exchange
from agent_toolproxy.mcp.messages import RequestId


class InFlight:
    """Exchanges by their ids."""

    def __init__(self) -> None:
        self._exchanges: dict[RequestId, Exchange] = {}

    @contextmanager
    def track(self, exchange: Exchange) -> Iterator[None]:
        """Count `exchange` for as long as this lasts."""
        self._exchanges[exchange.message_id] = exchange
        try:
            yield
        finally:
            self._exchanges.pop(exchange.message_id, None)

    def only_caller(self) -> Caller | None:
        """The client that all running requests with a client are made for; None when there are several, or none."""
        callers = [each.caller for each in self._exchanges.values() if each.caller is not None]
        owners = [each.owner for each in callers]
        return callers[-1] if owners and all(owner == owners[0] for owner in owners) else None
