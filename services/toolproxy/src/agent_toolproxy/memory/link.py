"""The memory of the present configuration: its connection, and whether it could be reached lately."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from agent_api.memoryreport import MemoryReport
from agent_api.toolsconfig import ToolsMemory
from agent_toolproxy.credentials import Credentials, Register
from agent_toolproxy.errors import ToolNotReady
from agent_toolproxy.memory.notes import Notes
from agent_toolproxy.memory.resp import RedisClient, parse_redis_url
from agent_toolproxy.metrics import ToolMetrics

PROBE_EVERY_S: Final = 5.0
_PASSWORD_KEY: Final = "password"  # noqa: S105 - the key of a Secret, not a secret
_AUTHORITY_KEY: Final = "ca.crt"
_log = logging.getLogger(__name__)


class MemoryLink:
    """`notes` is the memory, or None; `report` is what the last probe found. `run` probes."""

    def __init__(
        self,
        *,
        credentials_folder: Callable[[str], Path],
        register: Register,
        redact: Callable[[str], str],
        metrics: ToolMetrics,
    ) -> None:
        self.notes: Notes | None = None
        self.report: MemoryReport | None = None
        self._config: ToolsMemory | None = None
        self._credentials_folder = credentials_folder
        self._register = register
        self._redact = redact
        self._metrics = metrics
        self._moved = asyncio.Event()

    async def apply(self, config: ToolsMemory | None) -> None:
        """Use the memory of `config`; None is no memory."""
        if config == self._config:
            return
        self._config = config
        self._metrics.show_memory(reachable=None)
        before, self.notes, self.report = self.notes, self._connect(config) if config else None, None
        if before is not None:
            await before.close()
        if config is not None and self.notes is None:
            self.report = MemoryReport(reachable=False, error="the memory's url is not one: see its log")
        self._metrics.show_memory(reachable=self.report.reachable if self.report else None)
        self._moved.set()

    def _connect(self, config: ToolsMemory) -> Notes | None:
        try:
            address = parse_redis_url(config.url)
        except ValueError as error:
            _log.error("the memory cannot be used: %s", error)
            return None
        if address.password:
            self._register(address.password)
        folder = self._credentials_folder(config.credentials) if config.credentials else None
        password = partial(_read_password, Credentials(folder, self._register))
        authority = folder / _AUTHORITY_KEY if folder else None
        return Notes(RedisClient(address, password, authority=authority), config.prefix)

    async def run(self) -> None:
        """Probe for ever, and at once when there is another memory."""
        while True:
            self._moved.clear()
            notes = self.notes
            if notes is not None:
                report = await notes.probe(self._redact)
                if notes is self.notes:
                    self._note(report)
            try:
                async with asyncio.timeout(PROBE_EVERY_S):
                    await self._moved.wait()
            except TimeoutError:
                continue

    def _note(self, report: MemoryReport) -> None:
        before = self.report.reachable if self.report else None
        if report.reachable != before:
            level = logging.INFO if report.reachable else logging.WARNING
            _log.log(
                level, "memory %s", "reachable" if report.reachable else "unreachable", extra={"reason": report.error}
            )
        self.report = report
        self._metrics.show_memory(reachable=report.reachable)

    async def close(self) -> None:
        """Close the connection."""
        if self.notes is not None:
            await self.notes.close()


def _read_password(credentials: Credentials) -> str:
    try:
        return credentials.read(_PASSWORD_KEY) if credentials.has(_PASSWORD_KEY) else ""
    except ToolNotReady:
        return ""
