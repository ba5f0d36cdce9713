"""How the servers of a configuration are reached."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import aiohttp

from agent_api.toolsconfig import ToolDefinition
from agent_base.redaction import Redactor
from agent_toolproxy.credentials import Credentials
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import CallError, UpstreamUnavailable
from agent_toolproxy.mcp.http import HttpLink
from agent_toolproxy.mcp.link import Authorization, Link
from agent_toolproxy.mcp.oauth.documents import DocumentClient
from agent_toolproxy.mcp.oauth.tokens import TokenSource
from agent_toolproxy.mcp.stdio import StdioLink
from agent_toolproxy.messagememory import MessageRoom
from agent_toolproxy.network.addresspolicy import AddressPolicy
from agent_toolproxy.process.runner import Child, Command, ProcessLimits, start_process
from agent_toolproxy.process.workspace import Workspace, minimal_environment
from agent_toolproxy.tools.discovery import FoundTool
from agent_toolproxy.tools.givencredentials import GivenCredentials, given, watch_rotation
from agent_toolproxy.tools.provision import Program, Provisioner

_COUNT_EVERY_S: Final = 0.5
_CREDENTIAL_TTL_S: Final = 1.0
_TOKEN_KEY: Final = "token"  # noqa: S105 - the key of a Secret, not a secret


@dataclass(frozen=True)
class Connection:
    """A link, and the work that goes on as long as it lives: `run` raises UpstreamUnavailable when it is over."""

    link: Link
    run: Callable[[], Awaitable[None]]
    program: Program


class Connector(Protocol):
    """Opens connections to one server. Raises UpstreamError, InstallError."""

    def open(self) -> AbstractAsyncContextManager[Connection]:
        """A connection, closed on leaving."""


class StdioConnector:
    """Starts the server's program, which is installed first if it has to be."""

    def __init__(  # noqa: PLR0913 - what a child needs
        self,
        name: str,
        found: FoundTool,
        *,
        provisioner: Provisioner,
        workspace: Workspace,
        credentials: Credentials,
        path: str,
        current: CurrentConfig,
        redactor: Redactor,
        room: MessageRoom,
    ) -> None:
        self._redactor = redactor
        self._room = room
        self._name = name
        self._found = found
        self._provisioner = provisioner
        self._workspace = workspace
        self._credentials = credentials
        self._path = path
        self._current = current
        self._program: Program | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Connection]:
        """The program is found once: what runs does not change under a restart."""
        if self._program is None:
            self._program = await self._provisioner.provide(self._name, self._found)
        try:
            with (
                self._workspace.private_folder() as home,
                given(self._credentials, self._found.definition, home) as credentials,
            ):
                command = self._command(self._program, home, credentials.environment)
                async with self._run(command, self._program, credentials) as connection:
                    yield connection
        except CallError as error:
            raise UpstreamUnavailable(str(error)) from error

    @asynccontextmanager
    async def _run(
        self, command: Command, program: Program, credentials: GivenCredentials
    ) -> AsyncIterator[Connection]:
        """Raises UpstreamUnavailable with the cause of the process's end, which is known only when it has ended."""
        child: Child | None = None
        link: StdioLink | None = None
        try:
            async with start_process(command, interval_s=_COUNT_EVERY_S) as child:
                link = StdioLink(self._name, child, self._redactor, self._room)
                try:
                    yield Connection(link, partial(self._keep_running, link, credentials), program)
                finally:
                    child.stdin.close()
        except Exception as error:
            if child is not None and link is not None and link.has_ended:
                raise UpstreamUnavailable(link.describe_end(child.outcome)) from error
            raise

    async def _keep_running(self, link: StdioLink, credentials: GivenCredentials) -> None:
        definition = self._found.definition
        if not definition.credential_environment and not definition.credential_files:
            await link.run()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(link.run())
            group.create_task(
                watch_rotation(credentials.refresh, link, longest_call_s=self._current.limits.timeout_seconds)
            )

    def _command(self, program: Program, home: Path, credentials: Mapping[str, str]) -> Command:
        limits, definition = self._current.limits, self._found.definition
        executable, *before = program.argv
        return Command(
            program=executable,
            arguments=(*before, *definition.arguments),
            folder=self._workspace.root,
            environment={
                **minimal_environment(self._path, home, self._workspace.root),
                **definition.environment,
                **credentials,
            },
            limits=ProcessLimits(
                timeout_s=limits.timeout_seconds,
                output_bytes=limits.output_bytes,
                memory_bytes=limits.memory_bytes,
                processes=limits.processes,
            ),
            confinement=self._workspace.confinement(home),
        )


class HttpConnector:
    """Uses the process's HTTP session."""

    def __init__(
        self,
        url: str,
        definition: ToolDefinition,
        *,
        session: aiohttp.ClientSession,
        addresses: AddressPolicy,
        credentials: Credentials,
        room: MessageRoom,
    ) -> None:
        self._url = url
        self._room = room
        self._authorization = _authorization(url, definition, session, addresses, credentials)
        self._version = definition.version
        self._session = session
        self._addresses = addresses

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Connection]:
        """Nothing is connected yet: each request does that for itself."""
        link = HttpLink(
            self._url,
            session=self._session,
            addresses=self._addresses,
            authorization=self._authorization,
            room=self._room,
        )
        shown = self._url.partition("?")[0]
        try:
            program = Program(path="", version=self._version, source=f"url: {shown}")
            yield Connection(link, _last_for_ever, program)
        finally:
            await link.end_session()


async def _last_for_ever() -> None:
    await asyncio.Event().wait()


def _authorization(
    url: str,
    definition: ToolDefinition,
    session: aiohttp.ClientSession,
    addresses: AddressPolicy,
    credentials: Credentials,
) -> Authorization:
    if definition.oauth is None:
        return CredentialHeaders(credentials, definition.header_credentials)
    resource = url.partition("#")[0].partition("?")[0]
    return TokenSource(resource, definition.oauth, credentials, DocumentClient(session, addresses))


class CredentialHeaders:
    """Headers with credentials, read again when they are older than a second."""

    def __init__(
        self, credentials: Credentials, keys: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._credentials = credentials
        self._keys = keys
        self._clock = clock
        self._read_at = float("-inf")
        self._headers: dict[str, str] = {}

    async def headers(self) -> Mapping[str, str]:
        """Raises ToolNotReady."""
        if self._clock() - self._read_at >= _CREDENTIAL_TTL_S:
            self._headers = self._load()
            self._read_at = self._clock()
        return self._headers

    async def renew(self, sent: Mapping[str, str], challenges: Iterable[str]) -> bool:
        """There is no other credential than the Secret's."""
        del sent, challenges
        return False

    def _load(self) -> dict[str, str]:
        if self._keys:
            return {header: self._credentials.read(key) for header, key in self._keys.items()}
        if self._credentials.has(_TOKEN_KEY):
            return {"Authorization": f"Bearer {self._credentials.read(_TOKEN_KEY)}"}
        return {}
