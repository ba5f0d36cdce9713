import pytest

from agent_toolproxy.errors import (
    SourceInvalid,
)
from agent_toolproxy.installers.https import HttpsSource
from agent_toolproxy.installers.npm import NpmSource
from agent_toolproxy.installers.onpath import PathSource
from agent_toolproxy.installers.pypi import PypiSource
from agent_toolproxy.sources.source import BuiltinSource, HttpServer, StdioServer, parse_source


@pytest.mark.parametrize(
    "text,expected",
    [
        ("https://e.com/x", HttpsSource("https://e.com/x")),
        ("pypi:a-b[c]==1.0", PypiSource("a-b", "[c]", "1.0")),
        ("pypi:a", PypiSource("a", "", "")),
        ("npm:@s/p@1.0.0", NpmSource("@s/p", "1.0.0")),
        ("npm:p", NpmSource("p", "")),
        ("path:git", PathSource("git")),
        ("mcp+stdio:npm:p@1.0.0", StdioServer(NpmSource("p", "1.0.0"))),
        ("mcp+https://e.com/mcp?x=1", HttpServer("https://e.com/mcp?x=1")),
        ("builtin:memory", BuiltinSource("memory")),
    ],
)
def test_sources(text: str, expected: object) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "git", "ftp://e.com/x", "https://", "https://u:p@e.com/x", "https://e.com/a b", "pypi:a>=1", "pypi:a==1;b",
     "pypi:-r", "npm:../x", "npm:a@", "npm:a@--flag", "path:/bin/sh", "path:-x", "mcp+stdio:builtin:memory",
     "builtin:other",
     "mcp+stdio:mcp+https://e.com", "https://[::1", "npm:file:x"],
)  # fmt: skip
def test_sources_that_are_none(text: str) -> None:
    with pytest.raises(SourceInvalid):
        parse_source(text)


def test_a_password_in_a_source_is_not_repeated() -> None:
    with pytest.raises(SourceInvalid) as caught:
        parse_source("https://e.com/x?token=canary secret")
    assert "canary" not in str(caught.value)
