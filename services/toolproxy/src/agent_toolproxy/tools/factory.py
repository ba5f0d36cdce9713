"""From a planned tool to its tool: the one place that knows which kind of tool is made of what."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from agent_api.toolsconfig import PlannedTool
from agent_base.redaction import Redactor
from agent_toolproxy.credentials import Credentials, CredentialStore
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import InstallError
from agent_toolproxy.memory.link import MemoryLink
from agent_toolproxy.messagememory import MessageRoom
from agent_toolproxy.network.addresspolicy import AddressPolicy
from agent_toolproxy.process.workspace import Workspace
from agent_toolproxy.sources.source import BuiltinSource, HttpServer, StdioServer
from agent_toolproxy.store.store import Store
from agent_toolproxy.tools.builtin import ConfiguredMemory
from agent_toolproxy.tools.changes import Changes
from agent_toolproxy.tools.commandtool import CommandTool
from agent_toolproxy.tools.concurrency import Gate
from agent_toolproxy.tools.configuredtool import RETRY_OWN_CODE, ConfiguredCommand, ConfiguredTool, UnavailableTool
from agent_toolproxy.tools.connectors import Connector, HttpConnector, StdioConnector
from agent_toolproxy.tools.discovery import FoundTool, find_tool
from agent_toolproxy.tools.lanes import Lanes
from agent_toolproxy.tools.provision import Provisioner
from agent_toolproxy.tools.servers.signals import Signals
from agent_toolproxy.tools.upstream import RETRY, ConfiguredServer


@dataclass(frozen=True, kw_only=True)
class ToolParts:
    """What tools are made of."""

    current: CurrentConfig
    changes: Changes
    store: Store
    provisioner: Provisioner
    workspace: Workspace
    gate: Gate
    lanes: Lanes
    signals: Signals
    room: MessageRoom
    path: str
    redactor: Redactor
    memory: MemoryLink
    credentials: CredentialStore
    session: aiohttp.ClientSession
    addresses: AddressPolicy


def make_tool(parts: ToolParts, planned: PlannedTool) -> ConfiguredTool:
    """The tool that is planned; an UnavailableTool says why it cannot be had."""
    on_change = parts.changes.mark
    try:
        found = find_tool(planned, parts.current.policy, parts.store.record_of, parts.provisioner.which)
        found = _locate_workspace(found, parts.workspace.root, parts.provisioner.environment(found))
        if isinstance(found.source, BuiltinSource):
            return ConfiguredMemory(planned, parts.memory.notes, on_change)
        credentials = parts.credentials.of(planned.credentials)
        if isinstance(found.source, StdioServer | HttpServer):
            connector = _make_connector(parts, planned, found, credentials)
            return ConfiguredServer(
                planned,
                found.definition,
                connector,
                lanes=parts.lanes,
                current=parts.current,
                signals=parts.signals,
                on_change=on_change,
                retry=RETRY_OWN_CODE if found.is_own_code else RETRY,
            )
        tool = CommandTool(
            found.definition.model_copy(update={"name": planned.name}),
            workspace=parts.workspace,
            gate=parts.gate,
            credentials=credentials,
            path=parts.path,
            current=parts.current,
        )
        return ConfiguredCommand(planned, found, tool, parts.provisioner, parts.lanes, on_change)
    except InstallError as error:
        return UnavailableTool(planned, error, on_change)


def _make_connector(parts: ToolParts, planned: PlannedTool, found: FoundTool, credentials: Credentials) -> Connector:
    if isinstance(found.source, HttpServer):
        return HttpConnector(
            found.source.url,
            found.definition,
            session=parts.session,
            addresses=parts.addresses,
            credentials=credentials,
            room=parts.room,
        )
    return StdioConnector(
        planned.name,
        found,
        provisioner=parts.provisioner,
        workspace=parts.workspace,
        credentials=credentials,
        path=parts.path,
        current=parts.current,
        redactor=parts.redactor,
        room=parts.room,
    )


def _locate_workspace(found: FoundTool, workspace: Path, variables: Mapping[str, str]) -> FoundTool:
    """Where the workspace is, is not known to who writes a definition: on a laptop it is below another folder."""
    definition, folder = found.definition, str(workspace)
    environment = {**variables, **definition.environment}
    located = {
        "arguments": tuple(each.replace("{workspace}", folder) for each in definition.arguments),
        "environment": {name: value.replace("{workspace}", folder) for name, value in environment.items()},
    }
    return replace(found, definition=definition.model_copy(update=located))
