"""Which ledger counts: the Pod's file, or the agent's Redis when the configuration names one."""

import logging
from pathlib import Path
from time import time

from agent_api.gatewayconfig import GatewayConfig, GatewayMemory
from agent_api.layout import relocate
from agent_kit.files import WatchedFile
from agent_kit.redaction import Redactor
from agent_llmgateway.config import LoadedConfig
from agent_llmgateway.core import Core
from agent_llmgateway.ledger import REDIS_TIMEOUT_S, FileLedger, Ledger, RedisLedger

_log = logging.getLogger(__name__)


async def follow_memory(
    core: Core, watched: WatchedFile[LoadedConfig], backup: FileLedger, root: str, redactor: Redactor
) -> None:
    """Give the budget the ledger of the newest configuration, for ever."""
    memory: GatewayMemory | None = None
    used: Ledger = backup
    async for loaded in watched.changes():
        if loaded.config.memory == memory:
            continue
        memory = loaded.config.memory
        before, used = used, _open_ledger(loaded.config, backup, root, redactor)
        core.budget.use(used)
        if before is not backup:
            await before.close()


def _open_ledger(config: GatewayConfig, backup: FileLedger, root: str, redactor: Redactor) -> Ledger:
    memory = config.memory
    if memory is None:
        return backup
    from redis.asyncio import Redis  # noqa: PLC0415 - paid for only with a memory

    folder = None if memory.credentials is None else Path(relocate(memory.credentials, root))
    password, username = _read_word(folder, "password"), _read_word(folder, "username")
    if password:
        redactor.add(password)
    client = Redis.from_url(
        memory.url,
        username=username,
        password=password,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
    )
    return RedisLedger(client, f"agentberth:budget:{config.namespace}:{config.agent}", backup, time)


def _read_word(folder: Path | None, name: str) -> str | None:
    if folder is None or not (folder / name).is_file():
        return None
    return (folder / name).read_text("utf-8").strip() or None
