"""The author's volumes, in names of their own: a volume called `tools` is not the platform's."""

from collections.abc import Iterator

from agent_api.agenttype import AgentType, Volume
from agent_render.containers.sidecar import SECRET_MODE
from agent_render.identity import Manifest
from agent_render.settings import PlatformSettings

_PREFIX = "own-"


def volumes(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """The volumes of the Pod that `agent.volumes` asks for."""
    return tuple(_volume(volume, settings) for volume in agent.spec.agent.volumes)


def mounts(agent: AgentType) -> Iterator[Manifest]:
    """Where the agent container sees them."""
    for mount in agent.spec.agent.volume_mounts:
        yield {
            "name": f"{_PREFIX}{mount.name}",
            "mountPath": mount.mount_path,
            **({"subPath": mount.sub_path} if mount.sub_path else {}),
            **({"readOnly": True} if mount.read_only else {}),
        }


def _volume(volume: Volume, settings: PlatformSettings) -> Manifest:
    dumped: Manifest = volume.model_dump(mode="json", exclude_none=True, exclude={"name"})
    ((kind, source),) = dumped.items()
    table: dict[str, Manifest] = {
        "emptyDir": {"sizeLimit": settings.tmp_size},
        "secret": {"defaultMode": SECRET_MODE},
        "projected": {"defaultMode": SECRET_MODE},
    }
    defaults = table.get(kind, {})
    kept = {key: value for key, value in source.items() if value not in ("", [], {}, False)}
    return {"name": f"{_PREFIX}{volume.name}", kind: {**defaults, **kept}}
