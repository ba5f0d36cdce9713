"""The agent's memory on this machine: redis-server where it is on the PATH, else a small server in python.

Both speak Redis' protocol on the same loopback port. Only redis-server keeps the size and, with persistence, the data.
"""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent_api import layout
from agent_api.agenttype import AgentType, Memory
from agent_api.agenttype.memory import MemoryConfig
from agent_render.containers.memoryaccess import Access

DATA = "memory"  # below the agent's own folder


def with_local_memory(agent: AgentType) -> AgentType:
    """The agent with its memory inside of the Pod, which is all that this machine has; one at a url stays there."""
    memory = agent.spec.memory
    if memory is None or not memory.own_server:
        return agent
    config = MemoryConfig(eviction_policy=memory.config.eviction_policy)
    inside = Memory(type="inmemory", size=memory.size, config=config)
    return agent.model_copy(update={"spec": agent.spec.model_copy(update={"memory": inside})})


def keeps_data(agent: AgentType) -> bool:
    """Whether a second run is to find what the first has stored."""
    return agent.spec.memory is not None and agent.spec.memory.persistent


def limitations(agent: AgentType) -> str:
    """What is less here than in a cluster, as a sentence; "" when nothing is."""
    if agent.spec.memory is None or agent.spec.memory.config.url or shutil.which("redis-server"):
        return ""
    lost = "memory.size is not kept" + (" and the data goes with the run" if keeps_data(agent) else "")
    return f"redis-server is not on the PATH, so a small stand-in serves the memory: {lost}"


def with_port(agent: AgentType, config: Mapping[str, str], port: int) -> dict[str, str]:
    """`config` of the sidecars, with the memory inside of the Pod on `port`."""
    access = Access.of(agent)
    if access is None or agent.spec.memory is None or agent.spec.memory.config.url:
        return dict(config)
    here = access.url.replace(f":{layout.MEMORY_PORT}/", f":{port}/")
    return {name: text.replace(f'"{access.url}"', f'"{here}"') for name, text in config.items()}


def server_command(container: Mapping[str, Any], port: int, root: Path, *, keep: bool) -> tuple[str, ...]:
    """The command line of the memory on `port`, from its rendered container."""
    program = shutil.which("redis-server")
    if program is None:
        return (sys.executable, "-m", "agentberth.local.memoryserver", str(port))
    folder = root / DATA
    folder.mkdir(exist_ok=True)
    lasting = ("--appendonly", "yes", "--appendfsync", "everysec") if keep else ()
    words = (str(port) if word == str(layout.MEMORY_PORT) else word for word in container["args"])
    return (program, *words, *lasting, "--dir", str(folder), "--loglevel", "warning")
