"""The agent's memory: a sidecar (inmemory), a server beside the Pods (redis), or one that is there already (url).

Whoever uses it is told by `access`. Nothing waits for a memory: agents and sidecars start without it, and say so.
"""

from agent_api import layout
from agent_api.agenttype import AgentType, Memory
from agent_render.containers import redisserver
from agent_render.containers.memoryaccess import PASSWORD_KEY, Access
from agent_render.identity import Identity, Manifest
from agent_render.parts import placement
from agent_render.parts.hardening import own_id, restricted_context
from agent_render.parts.part import PodPart, mount, scratch, variable
from agent_render.settings import PlatformSettings

_PASSWORD = "AGENT_MEMORY_PASSWORD"  # noqa: S105 - a variable's name


def part(agent: AgentType, settings: PlatformSettings) -> PodPart:
    """Where the agent finds its memory, and for inmemory the sidecar itself."""
    memory = agent.spec.memory
    if memory is None:
        return PodPart()
    env = _agent_env(Access.of(agent))
    if memory.type != "inmemory":
        return PodPart(agent_env=env)
    tmp_volume, tmp_mount = scratch(layout.MEMORY, settings.tmp_size)
    container = {
        "name": layout.MEMORY,
        "image": settings.images.memory,
        "imagePullPolicy": settings.images.pull_policy,
        "restartPolicy": "Always",
        "command": ["redis-server"],
        "args": list(redisserver.in_pod_arguments(memory)),
        "workingDir": layout.TMP,
        **redisserver.probes(own_server=False),
        "resources": redisserver.resources_of(agent, settings, memory),
        "securityContext": restricted_context(agent, settings, layout.MEMORY_UID),
        "volumeMounts": [tmp_mount],
    }
    return PodPart(init_containers=(container,), volumes=(tmp_volume,), agent_env=env)


def server(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """The Service and the StatefulSet of a memory of the agent's own; its Secret is not rendered: it holds a secret."""
    memory = agent.spec.memory
    if memory is None or not memory.own_server:
        return ()
    return (_service(agent), _stateful_set(agent, memory, settings))


def _agent_env(access: Access | None) -> tuple[Manifest, ...]:
    """AGENT_MEMORY_URL and REDIS_URL; the kubelet puts the password in, so that it is in no object but its Secret."""
    if access is None:
        return ()
    if access.secret is None:
        return (variable("AGENT_MEMORY_URL", access.url), variable("REDIS_URL", access.url))
    reference = {"secretKeyRef": {"name": access.secret, "key": PASSWORD_KEY}}
    scheme, _, rest = access.url.partition("://")
    user, _, place = rest.rpartition("@")
    url = f"{scheme}://{user}:$({_PASSWORD})@{place}"
    return (
        {"name": _PASSWORD, "valueFrom": reference},
        variable("AGENT_MEMORY_URL", url),
        variable("REDIS_URL", url),
    )


def _service(agent: AgentType) -> Manifest:
    identity = Identity.of(agent)
    port = {"name": "redis", "port": layout.MEMORY_PORT, "protocol": "TCP", "targetPort": "redis"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": identity.metadata(identity.memory, layout.MEMORY),
        "spec": {"selector": identity.selector(layout.MEMORY), "ports": [port]},
    }


def _stateful_set(agent: AgentType, memory: Memory, settings: PlatformSettings) -> Manifest:
    """One replica. A suspended agent's server stops with it only if that loses nothing."""
    identity = Identity.of(agent)
    keep = memory.config.deletion_policy != "delete"
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": identity.metadata(identity.memory, layout.MEMORY),
        "spec": {
            "replicas": 0 if agent.spec.suspend and memory.persistent else 1,
            "serviceName": identity.memory,
            "podManagementPolicy": "Parallel",  # in order, a Pod that cannot start would never be replaced
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": identity.selector(layout.MEMORY)},
            "template": _server_pod(agent, memory, settings),
            **(
                {
                    "persistentVolumeClaimRetentionPolicy": {
                        "whenDeleted": "Retain" if keep else "Delete",
                        "whenScaled": "Retain",
                    },
                    "volumeClaimTemplates": [_claim(agent, memory, settings)],
                }
                if memory.persistent
                else {}
            ),
        },
    }


def _server_pod(agent: AgentType, memory: Memory, settings: PlatformSettings) -> Manifest:
    identity = Identity.of(agent)
    tmp_volume, tmp_mount = scratch(layout.MEMORY, settings.tmp_size)
    secret = {"secretName": identity.memory, "defaultMode": 0o440, "items": [{"key": PASSWORD_KEY, "path": "password"}]}
    data_volume = {"name": redisserver.DATA_VOLUME, "emptyDir": {"sizeLimit": settings.tmp_size}}
    return {
        "metadata": placement.metadata(agent, settings, layout.MEMORY),
        "spec": {
            "serviceAccountName": identity.account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            **placement.of_memory(agent, settings),
            "securityContext": {
                "runAsNonRoot": True,
                "fsGroup": own_id(agent, settings, layout.POD_GID),
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(agent, memory, settings, tmp_mount)],
            "volumes": [
                {"name": "password", "secret": secret},
                *(() if memory.persistent else (data_volume,)),
                tmp_volume,
            ],
        },
    }


def _container(agent: AgentType, memory: Memory, settings: PlatformSettings, tmp_mount: Manifest) -> Manifest:
    return {
        "name": "redis",
        "image": settings.images.memory,
        "imagePullPolicy": settings.images.pull_policy,
        "command": ["sh", "-c", redisserver.START, "memory"],
        "args": list(redisserver.server_arguments(memory)),
        "workingDir": redisserver.DATA,
        "ports": [{"name": "redis", "containerPort": layout.MEMORY_PORT, "protocol": "TCP"}],
        **redisserver.probes(own_server=True),
        "resources": redisserver.resources_of(agent, settings, memory),
        "securityContext": restricted_context(agent, settings, layout.MEMORY_UID),
        "volumeMounts": [
            mount("password", layout.CONFIG_MEMORY),
            mount(redisserver.DATA_VOLUME, redisserver.DATA, read_only=False),
            tmp_mount,
        ],
    }


def _claim(agent: AgentType, memory: Memory, settings: PlatformSettings) -> Manifest:
    identity, storage_class = Identity.of(agent), memory.config.storage_class or settings.storage_class
    return {
        "metadata": {"name": redisserver.DATA_VOLUME, "labels": identity.labels(layout.MEMORY)},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": redisserver.claim_size(memory)}},
            **({"storageClassName": storage_class} if storage_class else {}),
        },
    }
