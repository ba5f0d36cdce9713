"""Where an agent's memory is, for all who use it."""

from dataclasses import dataclass

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_render.containers.sidecar import secret_volume
from agent_render.identity import Identity, Manifest
from agent_render.parts.part import mount

PASSWORD_KEY = "password"  # noqa: S105 - a key's name
_VOLUME = "memory-credentials"


@dataclass(frozen=True)
class Access:
    """`url` has the user's name in it and never a password; that is in `secret`, None where none is needed."""

    url: str
    secret: str | None = None
    prefix: str = ""
    """Before the keys of the memory tools, where agents may share a server."""

    @classmethod
    def of(cls, agent: AgentType) -> "Access | None":
        """None without a memory."""
        memory, identity = agent.spec.memory, Identity.of(agent)
        if memory is None:
            return None
        if memory.type == "inmemory":
            return cls(f"redis://127.0.0.1:{layout.MEMORY_PORT}/0")
        if memory.own_server:
            return cls(f"redis://{identity.memory}.{identity.namespace}.svc:{layout.MEMORY_PORT}/0", identity.memory)
        config = memory.config
        url = _with_user(config.url or "", config.username or "")
        return cls(url, config.credentials_secret, f"{identity.namespace}:{identity.name}:")

    @property
    def folder(self) -> str | None:
        """Where a sidecar finds the password."""
        return layout.CONFIG_MEMORY if self.secret else None


def credentials(agent: AgentType) -> tuple[tuple[Manifest, ...], tuple[Manifest, ...]]:
    """Volumes and mounts of the memory's Secret in a sidecar. Two sidecars share the volume: see `gather`."""
    access = Access.of(agent)
    if access is None or access.secret is None:
        return (), ()
    return (secret_volume(_VOLUME, access.secret),), (mount(_VOLUME, layout.CONFIG_MEMORY),)


def _with_user(url: str, user: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{user}@{rest}" if user else url
