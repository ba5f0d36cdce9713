"""Where a tool is found: installed already, on the PATH, in the platform's catalogue, in the agent's own list.

The order is also who wins: an agent's own definition never replaces what the platform provides under that name. A
program on the PATH is called as the catalogue says, if it has an entry for it.
"""

import platform as machine
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Final, Literal

from agent_api.toolsconfig import Artifact, PlannedTool, ToolDefinition, ToolsPolicy
from agent_toolproxy.errors import NotAllowed, NotFound
from agent_toolproxy.installers.https import HttpsSource
from agent_toolproxy.installers.onpath import PathSource
from agent_toolproxy.installers.owncode import CodeSource
from agent_toolproxy.installers.package import Package
from agent_toolproxy.sources.source import BuiltinSource, HttpServer, Source, StdioServer, parse_source
from agent_toolproxy.store.store import Record, canonical_json

Place = Literal["installed", "path", "catalogue", "custom"]
_MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class FoundTool:
    """A tool, how it is called, and where it comes from. `record` is there when it is installed already."""

    place: Place
    definition: ToolDefinition
    source: Source
    sha256: str = ""
    member: str = ""
    record: Record | None = None

    @property
    def package(self) -> Package | None:
        """What has to be there on this machine; None for an upstream URL or a built-in tool."""
        if isinstance(self.source, StdioServer):
            return self.source.package
        return None if isinstance(self.source, HttpServer | BuiltinSource) else self.source

    @property
    def is_own_code(self) -> bool:
        """Whether it is a part of the agent's code, which is prepared while the proxy starts."""
        return isinstance(self.package, CodeSource)

    @property
    def version(self) -> str:
        """As the definition says, else as the source does."""
        package = self.package
        return self.definition.version or (package.version if package else "")

    @property
    def constraints(self) -> tuple[str, ...]:
        """Versions of what its package depends on."""
        return self.definition.constraints

    @property
    def key(self) -> str:
        """Changes when something else has to be installed."""
        return sha256(
            canonical_json(
                [repr(self.package), self.version, self.sha256, self.member, current_platform(), *self.constraints]
            )
        ).hexdigest()


def current_platform() -> str:
    """As in linux/amd64."""
    name = machine.machine().lower()
    return f"{machine.system().lower()}/{_MACHINES.get(name, name)}"


def is_allowed(policy: ToolsPolicy, *names: str) -> bool:
    """Whether the policy lets a tool be, by any of its names."""
    matches = [
        (pattern, name) for pattern in (*policy.allow, *policy.deny) for name in names if fnmatchcase(name, pattern)
    ]
    matching = {pattern for pattern, _ in matches}
    return not matching & set(policy.deny) and (not policy.allow or bool(matching & set(policy.allow)))


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A tool that is looked for; `defined` is where its definition says it comes from."""

    planned: PlannedTool
    defined: FoundTool | None
    record_of: Callable[[str], Record | None]
    which: Callable[[str], str | None]


def find_tool(
    planned: PlannedTool,
    policy: ToolsPolicy,
    record_of: Callable[[str], Record | None],
    which: Callable[[str], str | None] = shutil.which,
) -> FoundTool:
    """The tool in the first place that has it. Raises NotAllowed, NotFound, SourceInvalid."""
    if not is_allowed(policy, planned.name):
        raise NotAllowed(f"policy.allow and policy.deny do not let {planned.name!r} be used")
    definition = planned.definition
    defined = _as_defined(planned, definition) if definition else None
    asked = _Asked(planned=planned, defined=defined, record_of=record_of, which=which)
    if (found := next(filter(None, (find(asked) for find in _FINDERS)), None)) is not None:
        return found
    raise NotFound(
        f"{planned.name!r} is not installed, not on the PATH, and not in the platform's catalogue: "
        "add it to tools.custom with a source"
    )


def _find_installed(asked: _Asked) -> FoundTool | None:
    """What was installed for this very definition."""
    record = asked.record_of(asked.planned.name)
    if asked.defined is None or record is None or record.key != asked.defined.key:
        return None
    return replace(asked.defined, place="installed", record=record)


def _find_on_path(asked: _Asked) -> FoundTool | None:
    """A program of the image, unless the agent's author says where the tool comes from: that one is meant then."""
    defined = asked.defined
    if defined and (defined.place == "custom" or defined.package is not defined.source):  # a server is not a program
        return None
    definition = asked.planned.definition or ToolDefinition(name=asked.planned.name)
    program = asked.which(definition.program or asked.planned.name)
    return FoundTool(place="path", definition=definition, source=PathSource(program)) if program else None


def _find_defined(asked: _Asked) -> FoundTool | None:
    return asked.defined


_FINDERS: Final = (_find_installed, _find_on_path, _find_defined)


def _as_defined(planned: PlannedTool, definition: ToolDefinition) -> FoundTool | None:
    place: Place = "catalogue" if planned.catalogue else "custom"
    if definition.artifacts:
        artifact = _choose(definition.artifacts)
        if artifact is None:
            return None
        return FoundTool(
            place=place,
            definition=definition,
            source=HttpsSource(artifact.url, definition.version),
            sha256=artifact.sha256,
            member=artifact.member,
        )
    if not definition.source:
        return None
    return FoundTool(
        place=place, definition=definition, source=parse_source(definition.source), sha256=definition.sha256
    )


def _choose(artifacts: tuple[Artifact, ...]) -> Artifact | None:
    wanted = current_platform()
    return next((each for each in artifacts if each.platform == wanted), None)
