"""Resources, prompts and completion of the servers behind the proxy.

Each request is a call as one of a tool is: rules, rates, approvals, masking, audit and metrics are the same. Its name
is the server's and the method's, as in git__resources/read, so a rule for git__* is for all that git has.
"""

import logging
from collections.abc import Callable
from typing import Final, NoReturn

from agent_toolproxy.call import Call, Json, ServedTool
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import (
    ToolBusy,
    ToolNotReady,
    ToolProxyError,
    UnknownOffer,
    UpstreamProtocol,
    UpstreamRefused,
    UpstreamRejected,
)
from agent_toolproxy.mcp.messages import INTERNAL_ERROR, MISSING_CAPABILITY, NO_RESOURCE
from agent_toolproxy.mcp.outcome import raise_refusal
from agent_toolproxy.offers.directory import Directory, Place
from agent_toolproxy.offers.results import show_completion, show_contents, show_prompt
from agent_toolproxy.tools.discovery import is_allowed
from agent_toolproxy.tools.masking import mask_offer
from agent_toolproxy.tools.servers.signals import Signals, Subscriber
from agent_toolproxy.tools.servers.upstreamcall import send_to_server
from agent_toolproxy.tools.toolbox import Registry, Toolbox
from agent_toolproxy.tools.upstream import ConfiguredServer

_log = logging.getLogger(__name__)
_LONGEST_SHOWN: Final = 200
Show = Callable[[Json], Json]


class Relay:
    """Finds the server that is meant, and asks it."""

    def __init__(
        self,
        registry: Registry,
        toolbox: Toolbox,
        current: CurrentConfig,
        signals: Signals,
        mask: Callable[[str], str],
    ) -> None:
        self._mask = mask
        self._registry = registry
        self._toolbox = toolbox
        self._current = current
        self._signals = signals
        self._made_of: tuple[object, ...] = ()
        self._directory = Directory(())

    @property
    def directory(self) -> Directory:
        """Of the moment; made again when a server's offer or the policy is another one."""
        policy = self._current.policy
        servers = [each for each in self._registry.tools() if isinstance(each, ConfiguredServer)]
        offers = [(each.name, each.offer) for each in servers if is_allowed(policy, each.name)]
        made_of: tuple[object, ...] = tuple(part for name, offer in offers for part in (name, offer))
        if len(made_of) != len(self._made_of) or any(
            new is not old for new, old in zip(made_of, self._made_of, strict=True)
        ):
            shown = [(name, mask_offer(offer, self._mask)) for name, offer in offers]
            self._made_of, self._directory = made_of, Directory(shown)
        return self._directory

    async def read(self, call: Call) -> Json:
        """The contents of the resource `uri`. Raises CallError."""
        directory, uri = self.directory, str(call.arguments["uri"])
        place = self._known(directory.find_resource(uri), "resource", uri)

        def show(result: Json) -> Json:
            def show_uri(found: str) -> str:
                return uri if found == place.name else directory.show_uri(place.server, found)

            return show_contents(result, show_uri)

        return await self._request("resources/read", place, {"uri": place.name}, call, show)

    async def get_prompt(self, call: Call) -> Json:
        """The messages of the prompt `name` with `arguments`. Raises CallError."""
        name = str(call.arguments["name"])
        place = self._known(self.directory.find_prompt(name), "prompt", name)
        params: Json = {"name": place.name}
        if "arguments" in call.arguments:
            params["arguments"] = call.arguments["arguments"]
        return await self._request("prompts/get", place, params, call, show_prompt)

    async def complete(self, call: Call) -> Json:
        """Values for an argument of a prompt or a template. Raises CallError."""
        ref = call.arguments["ref"]
        if ref.get("type") == "ref/prompt":
            place = self._known(self.directory.find_prompt(str(ref.get("name"))), "prompt", str(ref.get("name")))
            own = {**ref, "name": place.name}
        else:
            uri = str(ref.get("uri"))
            found = self.directory.find_template(uri) or self.directory.find_resource(uri)
            place = self._known(found, "template", uri)
            own = {**ref, "uri": place.name}
        if not self.directory.offer(place.server).completes:
            return {"completion": {"values": [], "total": 0, "hasMore": False}}
        params = {**call.arguments, "ref": own}
        return await self._request("completion/complete", place, params, call, show_completion)

    def subscribe(self, uri: str, subscriber: Subscriber) -> None:
        """Have `subscriber` told of updates of a resource. Raises UnknownOffer, TooManySubscriptions."""
        directory = self.directory
        place = self._known(directory.find_resource(uri), "resource", uri)
        if not directory.offer(place.server).subscribes:
            raise UnknownOffer(f"{place.server} does not tell of updates of its resources")
        self._signals.subscribe(subscriber, uri, place)

    @staticmethod
    def _known(place: Place | None, kind: str, name: str) -> Place:
        if place is None:
            raise UnknownOffer(f"no server has the {kind} {name[:_LONGEST_SHOWN]!r}")
        return place

    async def _request(self, method: str, place: Place, params: Json, call: Call, show: Show) -> Json:
        server = self._registry.tool(place.server)
        if not isinstance(server, ConfiguredServer):
            raise ToolNotReady(f"{place.server} is not there any more")

        async def handle(masked: Call) -> Json:
            try:
                return show(await send_to_server(server, method, params, masked))
            except ToolBusy:
                raise
            except UpstreamRefused as refusal:
                _raise_refused(place.server, refusal, modern=call.modern)
            except ToolProxyError as error:
                raise UpstreamRejected(INTERNAL_ERROR, f"{place.server}: {error}") from error
            except Exception as error:
                _log.exception("an answer could not be handled", extra={"tool": place.server, "method": method})
                problem = UpstreamProtocol(f"its answer cannot be handled ({type(error).__name__})")
                raise UpstreamRejected(INTERNAL_ERROR, f"{place.server}: {problem}") from error

        served = ServedTool(
            owner=place.server, kind="mcp", definition={"name": f"{place.server}__{method}"}, handler=handle
        )
        return await self._toolbox.carry_out(served, call)


def _raise_refused(server: str, refusal: UpstreamRefused, *, modern: bool) -> NoReturn:
    if refusal.code == NO_RESOURCE:
        raise UnknownOffer(f"{server}: {refusal}") from refusal
    if refusal.code == MISSING_CAPABILITY and modern:
        raise UpstreamRejected(MISSING_CAPABILITY, f"{server}: {refusal}", refusal.data) from refusal
    raise_refusal(server, refusal)
