"""From a planned tool to its entry: the one place that knows which kind of tool is made of what."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from agent_api.toolsconfig import PlannedTool, ToolLimits, ToolsConfig
from agent_toolproxy.credentials import Credentials, Register
from agent_toolproxy.errors import InstallError
from agent_toolproxy.memory.notes import Notes
from agent_toolproxy.process.workspace import Workspace
from agent_toolproxy.sources.source import BuiltinSource, HttpServer, StdioServer
from agent_toolproxy.store.store import Store
from agent_toolproxy.tools.builtin import MemoryEntry
from agent_toolproxy.tools.commandtool import CommandTool
from agent_toolproxy.tools.discovery import Found, find_tool
from agent_toolproxy.tools.entry import CommandEntry, Entry, FailedEntry
from agent_toolproxy.tools.gate import Gate
from agent_toolproxy.tools.provision import Provisioner

MakeUpstream = Callable[[PlannedTool, Found, Credentials], Entry]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What entries are made of. The callables give what is true at the moment they are asked."""

    store: Store
    provisioner: Provisioner
    workspace: Workspace
    gate: Gate
    path: str
    limits: Callable[[], ToolLimits]
    notes: Callable[[], Notes | None]
    credentials_folder: Callable[[str], Path]
    register: Register
    make_upstream: MakeUpstream


def make_entry(parts: Parts, on_change: Callable[[], None], planned: PlannedTool, config: ToolsConfig) -> Entry:
    """The entry of `planned`; a FailedEntry tells why it cannot be."""
    try:
        found = find_tool(planned, config.policy, parts.store.record_of, parts.provisioner.which)
        found = _locate_arguments(found, parts.workspace.root)
        if isinstance(found.source, BuiltinSource):
            return MemoryEntry(planned, parts.notes(), on_change)
        folder = parts.credentials_folder(planned.credentials) if planned.credentials else None
        credentials = Credentials(folder, parts.register)
        if isinstance(found.source, StdioServer | HttpServer):
            return parts.make_upstream(planned, found, credentials)
        tool = CommandTool(
            found.definition.model_copy(update={"name": planned.name}),
            workspace=parts.workspace,
            gate=parts.gate,
            credentials=credentials,
            path=parts.path,
            limits=parts.limits,
        )
        return CommandEntry(planned, found, tool, parts.provisioner, on_change)
    except InstallError as error:
        return FailedEntry(planned, error, on_change)


def _locate_arguments(found: Found, workspace: Path) -> Found:
    """Where the workspace is, is not known to who writes a definition: on a laptop it is below another folder."""
    arguments = tuple(each.replace("{workspace}", str(workspace)) for each in found.definition.arguments)
    return replace(found, definition=found.definition.model_copy(update={"arguments": arguments}))
