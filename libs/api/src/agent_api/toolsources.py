"""Where the program of a tool may come from, once: the CRD, the agent's egress and the tool proxy read this table.

A source is one line that begins with the name of a row. Beside programs there are MCP servers and what the proxy has
built in, which the forms below add.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

IndexSetting = Literal["python_index_url", "npm_registry"]


@dataclass(frozen=True, kw_only=True)
class ToolSourceKind:
    """What is known about one kind of source.

    `form` is how it is written. `index` is the public address that its programs come from, and `index_setting` the
    platform's setting that replaces it; without an index the source is an address itself, or connects to nothing.
    `in_manifest` is False for what only the platform may name.
    """

    form: str
    index: str = ""
    index_setting: IndexSetting | None = None
    in_manifest: bool = True
    version_mark: str = ""
    """What stands between a package's name and its version; without it a source names no version."""


TOOL_SOURCES: Mapping[str, ToolSourceKind] = MappingProxyType(
    {
        "https": ToolSourceKind(form="https://..."),
        "pypi": ToolSourceKind(
            form="pypi:name==version", index="https://pypi.org", index_setting="python_index_url", version_mark="=="
        ),
        "npm": ToolSourceKind(
            form="npm:name@version",
            index="https://registry.npmjs.org",
            index_setting="npm_registry",
            version_mark="@",
        ),
        "code": ToolSourceKind(form="code:PATH"),
        "path": ToolSourceKind(form="path:program", in_manifest=False),
    }
)
"""By the name before the colon. The tool proxy has a class for each, in `agent_toolproxy.installers.packages`."""

_SERVERS = "mcp+stdio:<one of those>, mcp+https://..., mcp+http://SERVICE.NAMESPACE:PORT/... or builtin:memory"
_LABEL = "[a-z]([-a-z0-9]*[a-z0-9])?"
_SERVICE = rf"{_LABEL}(\.{_LABEL}(\.svc(\.[-a-z0-9.]+)?)?)?(:[0-9]+)?(/|$)"
"""Of this cluster: a name in it, which no one outside answers to. Nothing else may be asked without encryption."""


def describe_forms(*, in_manifest: bool) -> str:
    """All forms of a source in one line: those that a manifest may have, or all."""
    forms = (kind.form for kind in TOOL_SOURCES.values() if kind.in_manifest or not in_manifest)
    return ", ".join((*forms, _SERVERS))


def manifest_pattern() -> str:
    """What the source of a manifest's tool matches. The tool proxy looks closer."""
    beginnings = (_beginning(name, kind) for name, kind in TOOL_SOURCES.items() if kind.in_manifest)
    programs = "|".join(beginnings)
    return rf"(({programs}|mcp\+stdio:({programs})|mcp\+https://|builtin:)[^\s]+|mcp\+http://{_SERVICE}[^\s]*)"


def _beginning(name: str, kind: ToolSourceKind) -> str:
    return f"{name}://" if kind.form.startswith(f"{name}://") else f"{name}:"


def version_of(source: str) -> str:
    """The version that a source names: `1` of `mcp+stdio:pypi:a==1`; empty where it names none."""
    kind, _, rest = package_of(source).partition(":")
    mark = TOOL_SOURCES[kind].version_mark if kind in TOOL_SOURCES else ""
    name, _, version = rest.rpartition(mark) if mark else ("", "", "")
    return version if name else ""


def package_of(source: str) -> str:
    """The package or address that a source names, without how it is served: `pypi:a==1` of `mcp+stdio:pypi:a==1`."""
    return source.removeprefix("mcp+stdio:").removeprefix("mcp+")
