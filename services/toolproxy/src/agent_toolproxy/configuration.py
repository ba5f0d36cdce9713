"""Brings each new tools.json to everyone who goes by it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Protocol

from agent_api.toolsconfig import ToolsConfig
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.memory.link import MemoryLink
from agent_toolproxy.network.addresspolicy import AddressPolicy
from agent_toolproxy.rules.approvals import Approvals
from agent_toolproxy.store.store import Store
from agent_toolproxy.tools.concurrency import Gate
from agent_toolproxy.tools.pinning import Pins
from agent_toolproxy.tools.registry import Registry

_log = logging.getLogger(__name__)


class Source(Protocol):
    """The watched file."""

    def changes(self) -> AsyncIterator[ToolsConfig]:
        """The present value, and every later one."""


class Configuration:
    """Applies configurations, one after the other, in an order in which nobody sees a mixture."""

    def __init__(  # noqa: PLR0913 - everyone who goes by the configuration
        self,
        *,
        current: CurrentConfig,
        addresses: AddressPolicy,
        pins: Pins,
        gate: Gate,
        approvals: Approvals,
        memory: MemoryLink,
        store: Store,
    ) -> None:
        self._current = current
        self._addresses = addresses
        self._pins = pins
        self._gate = gate
        self._approvals = approvals
        self._memory = memory
        self._store = store

    async def follow(self, source: Source, registry: Registry) -> None:
        """Apply every configuration that `source` gives, for ever.

        What an earlier process installed and nobody asks for is removed first, while nothing uses it.
        """
        async for config in source.changes():
            self._current.value = config
            self._addresses.allow(config.policy.allowed_networks, config.policy.blocked_networks)
            await asyncio.to_thread(self._pins.hold_to, config.lock)
            self._approvals.decide(config.decisions)
            self._gate.resize(config.limits.concurrency)
            await self._memory.apply(config.memory)
            if not registry.configured:
                await asyncio.to_thread(self._store.forget_others, [each.name for each in config.tools])
            await registry.apply(config)
            self._current.taken_up = config
            _log.info("configuration applied", extra={"tools": len(config.tools)})


def parse_config(content: bytes) -> ToolsConfig:
    """tools.json. Raises ValueError, also for networks that are none."""
    config = ToolsConfig.model_validate_json(content)
    AddressPolicy(config.policy.allowed_networks, config.policy.blocked_networks)
    return config
