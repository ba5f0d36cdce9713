"""The memory of the present configuration: its connection, and what the watch looks at."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from agent_api.memoryreport import MemoryReport
from agent_api.toolsconfig import ToolsMemory
from agent_kit.memorywatch import MemoryWatch
from agent_toolproxy.credentials import Credentials, CredentialStore
from agent_toolproxy.errors import ToolNotReady
from agent_toolproxy.memory.notes import Notes
from agent_toolproxy.memory.redisclient import RedisClient, parse_redis_url

_PASSWORD_KEY: Final = "password"  # noqa: S105 - the key of a Secret, not a secret
_AUTHORITY_KEY: Final = "ca.crt"
_UNUSABLE: Final = MemoryReport(reachable=False, error="the memory's url is not one: see its log")
_log = logging.getLogger(__name__)


class MemoryLink:
    """`notes` is the memory, or None; `watch` is told of each."""

    def __init__(
        self,
        *,
        credentials: CredentialStore,
        redact: Callable[[str], str],
        watch: MemoryWatch,
    ) -> None:
        self.notes: Notes | None = None
        self._config: ToolsMemory | None = None
        self._credentials = credentials
        self._redact = redact
        self._watch = watch

    async def apply(self, config: ToolsMemory | None) -> None:
        """Use the memory of `config`; None is no memory."""
        if config == self._config:
            return
        self._config = config
        before, self.notes = self.notes, self._connect(config) if config else None
        if self.notes is not None:
            self._watch.use(partial(self.notes.probe, self._redact))
        else:
            self._watch.use(None, _UNUSABLE if config else None)
        if before is not None:
            await before.close()

    def _connect(self, config: ToolsMemory) -> Notes | None:
        try:
            address = parse_redis_url(config.url)
        except ValueError as error:
            _log.error("the memory cannot be used: %s", error)
            return None
        if address.password:
            self._credentials.redactor.add(address.password)
        credentials = self._credentials.of(config.credentials)
        password = partial(_read_password, credentials)
        authority = credentials.folder / _AUTHORITY_KEY if credentials.folder else None
        return Notes(RedisClient(address, password, authority=authority), config.prefix)

    async def close(self) -> None:
        if self.notes is not None:
            await self.notes.close()


def _read_password(credentials: Credentials) -> str:
    try:
        return credentials.read(_PASSWORD_KEY) if credentials.has(_PASSWORD_KEY) else ""
    except ToolNotReady:
        return ""
