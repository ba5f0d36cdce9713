"""Where a tool comes from, in the one line that a person writes.

`https://...`, `pypi:name==version`, `npm:name@version`, `path:program`, `mcp+stdio:<one of those>`,
`mcp+https://...`, `builtin:name`. Plain `http://` and `mcp+http://` parse too: the address policy lets them
through only to a network that the platform allows.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from agent_toolproxy.errors import SourceInvalid

_PYPI: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?P<extras>\[[A-Za-z0-9._,-]+\])?"
    r"(?:==(?P<version>[A-Za-z0-9.!+_-]+))?"
)
_NPM: Final = re.compile(
    r"(?P<name>(?:@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*)(?:@(?P<version>[A-Za-z0-9][A-Za-z0-9.+_-]*))?"
)
_PROGRAM: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_FORMS: Final = (
    "https://..., pypi:name==version, npm:name@version, path:program, mcp+stdio:<one of those>, "
    "mcp+https://... or builtin:memory"
)


@dataclass(frozen=True)
class HttpsSource:
    """A file to download: a program, or an archive with one in it."""

    url: str
    version: str = ""


@dataclass(frozen=True)
class PypiSource:
    """A Python package with a console script."""

    name: str
    extras: str
    version: str

    @property
    def requirement(self) -> str:
        """As pip has it."""
        return f"{self.name}{self.extras}" + (f"=={self.version}" if self.version else "")


@dataclass(frozen=True)
class NpmSource:
    """An npm package with a `bin`."""

    name: str
    version: str


@dataclass(frozen=True)
class PathSource:
    """A program on the proxy's own PATH."""

    program: str
    version: str = ""


@dataclass(frozen=True)
class StdioServer:
    """An MCP server that is a child process."""

    package: "Package"


@dataclass(frozen=True)
class HttpServer:
    """An MCP server at a URL."""

    url: str


@dataclass(frozen=True)
class BuiltinSource:
    """Tools of the proxy itself."""

    name: str


Package = HttpsSource | PypiSource | NpmSource | PathSource
Source = Package | StdioServer | HttpServer | BuiltinSource


def parse_source(text: str) -> Source:
    """The source that `text` names. Raises SourceInvalid."""
    if text.startswith("mcp+stdio:"):
        return StdioServer(_parse_package(text.removeprefix("mcp+stdio:"), text))
    if text.startswith(("mcp+https://", "mcp+http://")):
        return HttpServer(_checked_url(text.removeprefix("mcp+"), text))
    if text == "builtin:memory":
        return BuiltinSource("memory")
    return _parse_package(text, text)


def _parse_package(text: str, whole: str) -> Package:
    kind, _, rest = text.partition(":")
    if kind in ("https", "http"):
        return HttpsSource(_checked_url(text, whole))
    if kind == "pypi" and (found := _PYPI.fullmatch(rest)):
        return PypiSource(found["name"], found["extras"] or "", found["version"] or "")
    if kind == "npm" and (found := _NPM.fullmatch(rest)):
        return NpmSource(found["name"], found["version"] or "")
    if kind == "path" and _PROGRAM.fullmatch(rest):
        return PathSource(rest)
    raise SourceInvalid(f"source {whole[:200]!r} is not one of {_FORMS}")


def _checked_url(url: str, whole: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.hostname and parts.port != 0 and not parts.username and not parts.password
    except ValueError:
        good = None
    if not good or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        raise SourceInvalid(
            f"source {whole.partition('?')[0][:200]!r} is not a URL with a host and without a password: "
            "credentials belong in credentialsSecret"
        )
    return url
