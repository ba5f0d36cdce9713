"""One call of one tool: the same for REST and MCP, for programs, built-in tools and upstream servers.

A result is the JSON object of MCP's `tools/call`: `content`, and maybe `structuredContent` and `isError`. What went
wrong inside a tool is a result with `isError`, so that a model can read it; an exception is a call that did not happen.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from agent_toolproxy.process.runner import OutputListener

Json = dict[str, Any]
Kind = Literal["command", "mcp", "builtin"]
ProgressListener = Callable[[Json], Awaitable[None]]
"""Given `progress`, and maybe `total` and `message`."""


class CallerRefused(Exception):  # noqa: N818 - a name says what happened
    """A client that cannot be asked, or refuses: a JSON-RPC `code` and a text for the server."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


class Caller(Protocol):
    """The client that a call is made for, as far as a server may reach it while the call runs."""

    @property
    def owner(self) -> object:
        """Equal for the calls of one client's session, and for no others."""

    @property
    def log_level(self) -> str | None:
        """The least severe level that is wanted; None is none."""

    async def ask(self, method: str, params: Json) -> Json:
        """The result that the client gives to a question. Raises CallerRefused, TimeoutError."""

    async def log(self, params: Json) -> None:
        """Take a message of the server's log."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a caller gave. `meta` is what passes through to an upstream server: trace context and vendor keys."""

    arguments: Mapping[str, Any]
    via: Literal["mcp", "rest"] = "mcp"
    meta: Mapping[str, Any] = field(default_factory=dict)
    modern: bool = False
    """Whether the caller speaks MCP of 2026-07-28, which has errors and requests that older clients have not."""
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    """The caller's own, cut to what can be relayed; empty for callers without a way to answer."""
    retry: Mapping[str, Any] = field(default_factory=dict)
    """`inputResponses` and `requestState` of a call that was asked for input."""
    caller: Caller | None = None
    """Whom a server may ask or tell something meanwhile; None: nobody."""
    on_progress: ProgressListener | None = None
    on_output: OutputListener | None = None
    wire: Mapping[str, str] = field(default_factory=dict)
    """How it came, in attributes of its span."""
    timeout_s: float | None = None
    """Shorter than the configured limit; never longer."""


class Handler(Protocol):
    """Carries out a call. Raises CallError."""

    async def __call__(self, call: Call, /) -> Json:
        """The result."""


@dataclass(frozen=True, kw_only=True)
class ServedTool:
    """A tool that can be called. `definition` is MCP's, with the name under which it is served."""

    owner: str
    kind: Kind
    definition: Json
    handler: Handler
    traced: bool = True
    own_definition: Json | None = None
    """Its server's own, where the author's takes its place: this is what is pinned."""

    @property
    def pinned_definition(self) -> Json:
        """What later ones are compared with."""
        return self.own_definition or self.definition

    @property
    def name(self) -> str:
        """The name under which it is served."""
        return str(self.definition["name"])


def text_result(text: str, structured: Any = None, *, is_error: bool = False) -> Json:  # noqa: ANN401 - any JSON
    """A result of one text block."""
    result: Json = {"content": [{"type": "text", "text": text}]}
    if structured is not None:
        result["structuredContent"] = structured
    if is_error:
        result["isError"] = True
    return result


def define(name: str, description: str, input_schema: Mapping[str, Any], **more: Any) -> Json:  # noqa: ANN401 - any JSON
    """An MCP tool definition; empty parts are left out."""
    definition: Json = {"name": name, "description": description, "inputSchema": dict(input_schema)}
    if not description:
        del definition["description"]
    return definition | {key: value for key, value in more.items() if value}
