"""Brings each new tools.json to everyone who goes by it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Protocol

from agent_api.toolsconfig import ToolsConfig
from agent_toolproxy.installers.packager import Index
from agent_toolproxy.memory.link import MemoryLink
from agent_toolproxy.network.guard import NetworkGuard
from agent_toolproxy.settings import ToolProxySettings
from agent_toolproxy.store.store import Store
from agent_toolproxy.tools.gate import Gate
from agent_toolproxy.tools.pinning import Pins
from agent_toolproxy.tools.provision import Surroundings
from agent_toolproxy.tools.registry import Registry

_log = logging.getLogger(__name__)


class Source(Protocol):
    """The watched file."""

    def changes(self) -> AsyncIterator[ToolsConfig]:
        """The present value, and every later one."""


class Configuration:
    """Applies configurations, one after the other, in an order in which nobody sees a mixture."""

    def __init__(
        self,
        *,
        settings: ToolProxySettings,
        guard: NetworkGuard,
        pins: Pins,
        gate: Gate,
        memory: MemoryLink,
        store: Store,
    ) -> None:
        self._settings = settings
        self._guard = guard
        self._pins = pins
        self._gate = gate
        self._memory = memory
        self._store = store
        self.current = ToolsConfig(agent="")

    async def follow(self, source: Source, registry: Registry) -> None:
        """Apply every configuration that `source` gives, for ever.

        What an earlier process installed and nobody asks for is removed first, while nothing uses it.
        """
        async for config in source.changes():
            self.current = config
            self._guard.allow(config.policy.allowed_networks)
            self._pins.policy = config.policy
            self._gate.resize(config.limits.concurrency)
            await self._memory.apply(config.memory)
            if not registry.configured:
                await asyncio.to_thread(self._store.forget_others, [each.name for each in config.tools])
            await registry.apply(config)
            _log.info("configuration applied", extra={"tools": len(config.tools)})

    def surroundings(self) -> Surroundings:
        """What installers need, as it is now."""
        folder = self.current.index_folder
        index = Index(
            python_url=self.current.python_url,
            npm_registry=self.current.npm_registry,
            folder=self._settings.located(folder) if folder else None,
        )
        return Surroundings(index=index, limits=self.current.limits)


def parse_config(content: bytes) -> ToolsConfig:
    """tools.json. Raises ValueError, also for networks that are none."""
    config = ToolsConfig.model_validate_json(content)
    NetworkGuard(config.policy.allowed_networks)
    return config
