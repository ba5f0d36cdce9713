"""The small objects beside the workload: ServiceAccount, ConfigMap, Service."""

from agent_api.agenttype import AgentType
from agent_render.errors import RenderError
from agent_render.identity import Identity, Manifest
from agent_render.objects.pod import pod_parts
from agent_render.parts.placement import pod_settings
from agent_render.settings import PlatformSettings

_MOST_BYTES = (1 << 20) - 16_384  # less what the operator adds: the keys of the Pods


def service_account(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """An account of the agent's own, with no token and no rights."""
    identity, account = Identity.of(agent), pod_settings(agent, settings).service_account
    annotations = {"annotations": dict(account.annotations)} if account else {}
    return (
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {**identity.metadata(identity.account), **annotations},
            "automountServiceAccountToken": False,
        },
    )


def config_map(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """The configuration of initenv and the sidecars, when there is any."""
    identity, config = Identity.of(agent), pod_parts(agent, settings).config
    if not config:
        return ()
    size_bytes = sum(len(name) + len(text.encode()) for name, text in config.items())
    if size_bytes > _MOST_BYTES:
        raise RenderError(
            f"spec.agent.environment.files: the agent's ConfigMap would have {size_bytes} bytes, and Kubernetes takes "
            f"{_MOST_BYTES}: put large files into ConfigMaps of their own (configMapKeyRef)"
        )
    return (
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": identity.metadata(identity.config),
            "data": dict(config),
        },
    )


def service(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """A Service of the AgentType's name, when the agent has ports."""
    del settings
    identity = Identity.of(agent)
    if not agent.spec.agent.ports:
        return ()
    ports = [
        {"name": p.name, "port": p.container_port, "protocol": p.protocol, "targetPort": p.name}
        for p in agent.spec.agent.ports
    ]
    return (
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": identity.metadata(identity.name),
            "spec": {"selector": identity.selector(), "ports": ports},
        },
    )
