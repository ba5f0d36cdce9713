"""Which Redis the report tells of: that of the newest configuration. Nothing of a budget is kept there."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from agent_api.gatewayconfig import GatewayMemory
from agent_kit.files import WatchedFile
from agent_kit.memorywatch import MemoryWatch
from agent_llmgateway.budget.memory import look
from agent_llmgateway.config.loaded import LoadedConfig

_log = logging.getLogger(__name__)


async def follow_memory(
    watched: WatchedFile[LoadedConfig], watch: MemoryWatch, connect: Callable[[GatewayMemory], Any]
) -> None:
    """Give the watch the memory of the newest configuration, for ever."""
    memory: GatewayMemory | None = None
    client = None
    async for loaded in watched.changes():
        if loaded.config.memory == memory:
            continue
        memory, before = loaded.config.memory, client
        client = _open(memory, connect)
        watch.use(None if client is None else partial(look, client))
        if before is not None:
            await before.aclose()


def _open(memory: GatewayMemory | None, connect: Callable[[GatewayMemory], Any]) -> Any:  # noqa: ANN401 - redis is imported late
    if memory is None:
        return None
    try:
        return connect(memory)
    except ValueError:
        _log.error("the memory's url is not one of redis://host:port or rediss://host:port: it is not looked at")
        return None
