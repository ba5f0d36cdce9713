"""`server.json` of the MCP registry, as far as it says how a server is run or reached.

The format is of others and grows: what is not known here is ignored. Source: the schema of 2025-12-11 at
https://github.com/modelcontextprotocol/registry/blob/main/docs/reference/server-json.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

from agent_api.model import Report

_Text = Annotated[str, StringConstraints(max_length=2048)]


class Input(Report):
    """A value that the server is given: an argument, a variable or a header. `name` is empty for a positional one."""

    name: _Text = ""
    type: _Text = ""
    value: _Text | None = None
    default: _Text | None = None
    is_required: bool = False
    is_secret: bool = False
    variables: dict[str, object] = Field(default_factory=dict, max_length=64)

    @property
    def given(self) -> str | None:
        """The value that the document itself gives."""
        return self.default if self.value is None else self.value

    @property
    def is_wanted(self) -> bool:
        """Whether the server has to be given it: what is optional and has no value is left to the author."""
        return self.is_required or self.given is not None

    @property
    def open_variables(self) -> tuple[str, ...]:
        """What somebody has to fill in first."""
        return tuple(name for name in self.variables if f"{{{name}}}" in (self.given or ""))


class Transport(Report):
    """How the program is spoken to."""

    type: _Text = "stdio"


class ServerPackage(Report):
    """A program to run."""

    registry_type: _Text
    registry_base_url: _Text = ""
    identifier: _Text
    version: _Text = ""
    transport: Transport = Transport()
    package_arguments: Annotated[tuple[Input, ...], Field(max_length=64)] = ()
    environment_variables: Annotated[tuple[Input, ...], Field(max_length=64)] = ()


class Remote(Report):
    """A server at a URL."""

    type: _Text
    url: _Text
    headers: Annotated[tuple[Input, ...], Field(max_length=64)] = ()


class ServerJson(Report):
    """The document."""

    name: Annotated[str, StringConstraints(max_length=200)]
    description: Annotated[str, StringConstraints(max_length=4096)] = ""
    version: Annotated[str, StringConstraints(max_length=255)] = ""
    packages: Annotated[tuple[ServerPackage, ...], Field(max_length=32)] = ()
    remotes: Annotated[tuple[Remote, ...], Field(max_length=32)] = ()
