"""Where a tool comes from, in the one line that a person writes.

A program by its package (`agent_toolproxy.installers.packages`), `mcp+stdio:<one of those>`, `mcp+https://...` or
`builtin:memory`. Plain `http://` and `mcp+http://` parse too: the address policy lets them through only to a network
that the platform allows.
"""

from dataclasses import dataclass

from agent_api.toolsources import describe_forms
from agent_toolproxy.errors import SourceInvalid
from agent_toolproxy.installers.package import Package, checked_url
from agent_toolproxy.installers.packages import PACKAGES


@dataclass(frozen=True)
class StdioServer:
    """An MCP server that is a child process."""

    package: Package


@dataclass(frozen=True)
class HttpServer:
    """An MCP server at a URL."""

    url: str


@dataclass(frozen=True)
class BuiltinSource:
    """Tools of the proxy itself."""

    name: str


Source = Package | StdioServer | HttpServer | BuiltinSource


def parse_source(text: str) -> Source:
    """The source that `text` names. Raises SourceInvalid."""
    if text.startswith("mcp+stdio:"):
        return StdioServer(_parse_package(text.removeprefix("mcp+stdio:"), text))
    if text.startswith(("mcp+https://", "mcp+http://")):
        return HttpServer(checked_url(text.removeprefix("mcp+"), text))
    if text == "builtin:memory":
        return BuiltinSource("memory")
    return _parse_package(text, text)


def _parse_package(text: str, whole: str) -> Package:
    kind = PACKAGES.get(text.partition(":")[0])
    package = kind.read(text) if kind else None
    if package is None:
        raise SourceInvalid(f"source {whole[:200]!r} is not one of {describe_forms(in_manifest=False)}")
    return package
