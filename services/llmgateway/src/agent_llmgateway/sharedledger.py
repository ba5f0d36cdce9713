"""Which ledger counts: the Pod's file, or the agent's Redis when the configuration names one."""

import logging
from collections.abc import Callable
from functools import partial
from time import time
from typing import Any

from agent_api.gatewayconfig import GatewayMemory
from agent_kit.files import WatchedFile
from agent_kit.memorywatch import MemoryWatch
from agent_llmgateway.budget.ledger import FileLedger, Ledger, RedisLedger
from agent_llmgateway.budget.memory import look
from agent_llmgateway.config.loaded import LoadedConfig
from agent_llmgateway.http.state import GatewayState

_log = logging.getLogger(__name__)


async def follow_budget_store(
    state: GatewayState,
    watched: WatchedFile[LoadedConfig],
    backup: FileLedger,
    watch: MemoryWatch,
    connect: Callable[[GatewayMemory], Any],
) -> None:
    """Give the budget the ledger of the newest configuration, and the watch its memory, for ever."""
    memory: GatewayMemory | None = None
    used: Ledger = backup
    async for loaded in watched.changes():
        config = loaded.config
        if config.memory == memory:
            continue
        memory = config.memory
        client = _open(memory, connect)
        name = f"agentberth:budget:{config.namespace}:{config.agent}"
        before, used = used, backup if client is None else RedisLedger(client, name, backup, time)
        state.budget.use(used)
        watch.use(None if client is None else partial(look, client))
        if before is not backup:
            await before.close()


def _open(memory: GatewayMemory | None, connect: Callable[[GatewayMemory], Any]) -> Any:  # noqa: ANN401 - redis is imported late
    if memory is None:
        return None
    try:
        return connect(memory)
    except ValueError:
        _log.error("the memory's url is not one of redis://host:port or rediss://host:port: budgets are not shared")
        return None
