"""The way to one upstream server, whatever it is made of."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent_toolproxy.call import Caller
from agent_toolproxy.mcp.messages import Json, RequestId

MessageListener = Callable[[Json], Awaitable[None]]
"""Given notifications that belong to a request, or to nobody in particular."""


class Authorization(Protocol):
    """How requests to a server at a URL are authorized."""

    async def headers(self) -> Mapping[str, str]:
        """Of the next request. Raises ToolNotReady, UpstreamError."""

    async def renew(self, sent: Mapping[str, str], challenges: Iterable[str]) -> bool:
        """Whether it makes sense to try again after these headers were refused with 401. Raises UpstreamError."""


@dataclass(frozen=True)
class Exchange:
    """A request and the headers it has over HTTP. `timeout_s` None: it may last for ever. `caller`: its client."""

    message: Json
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    caller: Caller | None = None

    @property
    def message_id(self) -> RequestId:
        found: RequestId = self.message["id"]
        return found


class Link(Protocol):
    """Carries messages. Raises UpstreamUnavailable, UpstreamTimeout, UpstreamAuth, UpstreamHttp, UpstreamProtocol."""

    silence_is_legacy: bool
    """Whether a server that does not answer the probe may be an old one: so it is on stdio."""

    async def exchange(self, exchange: Exchange, listener: MessageListener) -> Json:
        """The response message. `listener` is given the notifications that come before it."""

    async def notify(self, message: Json, headers: Mapping[str, str]) -> None:
        """Send a notification."""

    async def cancel(self, message_id: RequestId, headers: Mapping[str, str], *, modern: bool) -> None:
        """Tell the server that nobody waits for this answer any more. Never raises an UpstreamError."""

    def forget_session(self) -> None:
        """Start anew with the next `initialize`."""

    async def watch(self, listener: MessageListener, headers: Mapping[str, str]) -> None:
        """Listen to what a handshake server says unasked, as long as it lasts; returns if it says nothing."""
