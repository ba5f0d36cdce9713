"""The workspace: an emptyDir of the Pod, or a claim that outlives it."""

from agent_api import layout
from agent_api.agenttype import AgentType, Workspace
from agent_render.identity import RETAINED, Identity, Manifest
from agent_render.parts.part import variable
from agent_render.settings import PlatformSettings

VOLUME = "workspace"


def of(agent: AgentType) -> Workspace:
    """The spec's, or the default."""
    return agent.spec.workspace or Workspace()


def volume(agent: AgentType, settings: PlatformSettings) -> Manifest:
    """What is mounted at /workspace."""
    workspace = of(agent)
    if workspace.persistent:
        return {"name": VOLUME, "persistentVolumeClaim": {"claimName": Identity.of(agent).workspace}}
    return {"name": VOLUME, "emptyDir": {"sizeLimit": workspace.size or settings.workspace_size}}


def claim(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """The claim of a persistent workspace. One that is to be retained has no owner."""
    workspace, identity = of(agent), Identity.of(agent)
    if not workspace.persistent:
        return ()
    storage_class = workspace.storage_class or settings.storage_class
    retained = {} if workspace.deletion_policy == "delete" else {"annotations": {RETAINED: "true"}}
    return (
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {**identity.metadata(identity.workspace), **retained},
            "spec": {
                "accessModes": [workspace.access_mode or "ReadWriteOnce"],
                "resources": {"requests": {"storage": workspace.size or settings.workspace_size}},
                **({"storageClassName": storage_class} if storage_class else {}),
            },
        },
    )


def strategy(agent: AgentType) -> Manifest:
    """A claim of one Pod at a time: the next Pod waits until the last one has let go of it."""
    recreate = {"type": "Recreate", "rollingUpdate": None}  # null takes away what the server has filled in
    return {} if of(agent).shared else {"strategy": recreate}


def home(agent: AgentType) -> tuple[Manifest, ...]:
    """HOME, where it is to be the workspace."""
    return (variable("HOME", layout.WORKSPACE),) if of(agent).home else ()
