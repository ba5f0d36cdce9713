"""The requests that both eras have, answered for either of them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from agent_toolproxy.call import Call
from agent_toolproxy.errors import CallError, UnknownOffer, UpstreamRejected
from agent_toolproxy.mcp.messages import INTERNAL_ERROR, INVALID_PARAMS, NO_RESOURCE, Json
from agent_toolproxy.serving.mcp.calls import Asked, RpcError, Tools, call_tool
from agent_toolproxy.serving.mcp.pages import list_page
from agent_toolproxy.tools.servers.signals import Subscriber

LISTS: Final[Mapping[str, tuple[str, str]]] = {
    "tools/list": ("tools", "name"),
    "prompts/list": ("prompts", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
}
"""Of each: where the result has the entries, and what tells them apart."""
CALL: Final = "tools/call"
READ: Final = "resources/read"
GET_PROMPT: Final = "prompts/get"
COMPLETE: Final = "completion/complete"
METHODS: Final = frozenset({*LISTS, CALL, READ, GET_PROMPT, COMPLETE})
CAPABILITIES: Final[Mapping[str, Any]] = {
    "tools": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "prompts": {"listChanged": True},
    "completions": {},
    "logging": {},
}
"""The same whatever is behind: a server that comes later has all of it, and a list without entries costs nothing."""
_LONGEST_URI_CHARS: Final = 4096


class Directory(Protocol):
    """What servers offer, as it is listed."""

    @property
    def prompts(self) -> Sequence[Json]:
        """Definitions."""

    @property
    def resources(self) -> Sequence[Json]:
        """Definitions."""

    @property
    def templates(self) -> Sequence[Json]:
        """Definitions."""


class Offers(Protocol):
    """The relay, as far as it is needed here."""

    @property
    def directory(self) -> Directory:
        """Of the moment."""

    async def read(self, call: Call) -> Json:
        """Raises CallError."""

    async def get_prompt(self, call: Call) -> Json:
        """Raises CallError."""

    async def complete(self, call: Call) -> Json:
        """Raises CallError."""

    def subscribe(self, uri: str, subscriber: Subscriber) -> None:
        """Raises CallError."""


class Methods:
    """Answers them from the toolbox and the relay."""

    def __init__(self, tools: Tools, offers: Offers) -> None:
        self._tools = tools
        self._offers = offers

    async def answer(self, method: str, asked: Asked) -> Json:
        """The result of one of METHODS. Raises RpcError."""
        if method in LISTS:
            key, identity = LISTS[method]
            return list_page(key, self._listed(method), asked.params, identity)
        if method == CALL:
            return await call_tool(self._tools, asked)
        if method == READ:
            return await self._ask(self._offers.read, asked, {"uri": _text(asked.params, "uri")})
        if method == GET_PROMPT:
            return await self._ask(self._offers.get_prompt, asked, _prompt_arguments(asked.params))
        return await self._ask(self._offers.complete, asked, _completion_arguments(asked.params))

    def _listed(self, method: str) -> Sequence[Json]:
        if method == "tools/list":
            return self._tools.listed
        directory = self._offers.directory
        if method == "prompts/list":
            return directory.prompts
        return directory.resources if method == "resources/list" else directory.templates

    @staticmethod
    async def _ask(request: Callable[[Call], Awaitable[Json]], asked: Asked, arguments: Json) -> Json:
        try:
            return await request(asked.call(arguments))
        except (CallError, UpstreamRejected) as error:
            raise as_rpc_error(error, arguments, modern=asked.modern) from error


def as_rpc_error(error: CallError, arguments: Mapping[str, Any], *, modern: bool) -> RpcError:
    """Why a resource or prompt is not given. One that is not there has a code of its own in the older revisions."""
    uri = arguments.get("uri")
    data = {"uri": uri} if isinstance(uri, str) else None
    if isinstance(error, UpstreamRejected):
        status = 400 if error.rpc_code != INTERNAL_ERROR else 200
        return RpcError(error.rpc_code, str(error), status, error.data if error.data is not None else data)
    if isinstance(error, UnknownOffer):
        return RpcError(INVALID_PARAMS if modern or data is None else NO_RESOURCE, str(error), 400, data)
    return RpcError(INTERNAL_ERROR, str(error), 200, {"code": error.code})


def _text(params: Json, key: str) -> str:
    value = params.get(key)
    if not isinstance(value, str) or len(value) > _LONGEST_URI_CHARS:
        raise RpcError(INVALID_PARAMS, f"params.{key} must be a string of at most {_LONGEST_URI_CHARS} characters")
    return value


def _prompt_arguments(params: Json) -> Json:
    arguments = params.get("arguments")
    found: Json = {"name": _text(params, "name")}
    if arguments is None:
        return found
    if not isinstance(arguments, dict) or not all(isinstance(each, str) for each in arguments.values()):
        raise RpcError(INVALID_PARAMS, "params.arguments must be an object of strings")
    return {**found, "arguments": arguments}


def _completion_arguments(params: Json) -> Json:
    ref, argument = params.get("ref"), params.get("argument")
    if not isinstance(ref, dict) or not isinstance(ref.get("name" if ref.get("type") == "ref/prompt" else "uri"), str):
        raise RpcError(INVALID_PARAMS, "params.ref must name a prompt or the URI of a resource")
    if not isinstance(argument, dict) or not all(isinstance(argument.get(key), str) for key in ("name", "value")):
        raise RpcError(INVALID_PARAMS, "params.argument must have a name and a value, both strings")
    context = params.get("context")
    if not isinstance(context, dict | None):
        raise RpcError(INVALID_PARAMS, "params.context must be an object")
    return {"ref": ref, "argument": argument, **({"context": context} if context is not None else {})}
