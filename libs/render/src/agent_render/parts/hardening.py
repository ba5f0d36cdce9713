"""Security contexts. Init and sidecars are always `restricted`; the agent is too, unless its profile says baseline."""

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.agenttype.kubernetes.security import PLATFORM_UIDS, PodSecurityContext, SecurityContext
from agent_render.errors import UnsupportedError
from agent_render.identity import Manifest
from agent_render.settings import PlatformSettings


def profile(agent: AgentType, settings: PlatformSettings) -> str:
    """The agent container's profile, restricted or baseline."""
    return agent.spec.security.profile or settings.security_profile


def pod_context(agent: AgentType, settings: PlatformSettings) -> Manifest:
    """The Pod's security context, with the user's own settings over it.

    A group without a user is set on the containers instead: containerd starts no sandbox with it.
    """
    own = _plain(agent.spec.security.pod_security_context)
    if "runAsUser" not in own:
        own.pop("runAsGroup", None)
    return {
        "runAsNonRoot": True,
        "fsGroup": own_id(agent, settings, layout.POD_GID),
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
        **own,
    }


def own_id(agent: AgentType, settings: PlatformSettings, fixed: int) -> int:
    """The user or group of the agent's namespace that is `fixed` of `agent_api.layout` where none are assigned."""
    return settings.user_ids.of(agent.metadata.namespace, fixed)


def restricted_context(agent: AgentType, settings: PlatformSettings, uid: int) -> Manifest:
    """The context of a container that passes PodSecurity `restricted`, as user `uid` of `agent_api.layout`."""
    return {
        "runAsUser": own_id(agent, settings, uid),
        "runAsGroup": own_id(agent, settings, layout.POD_GID),
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def agent_context(agent: AgentType, settings: PlatformSettings) -> Manifest:
    """The agent container's context: its profile with the user's own settings over it.

    Raises UnsupportedError for a user that is another container's.
    """
    container = agent.spec.agent.container
    own = {**_inherited(agent), **_plain(container.security_context if container else None)}
    taken = {own_id(agent, settings, uid) for uid in PLATFORM_UIDS}
    if own.get("runAsUser") in taken:
        raise UnsupportedError(
            f"securityContext.runAsUser: {own['runAsUser']} belongs to the platform's containers here: choose another"
        )
    if profile(agent, settings) == "baseline":
        base: Manifest = {"runAsNonRoot": False, "allowPrivilegeEscalation": False}
        return {**base, **own}
    capabilities = {**own.pop("capabilities", {}), "drop": ["ALL"]}
    return {**restricted_context(agent, settings, layout.AGENT_UID), **own, "capabilities": capabilities}


def _inherited(agent: AgentType) -> Manifest:
    """What the Pod's own context asks for and our defaults for the container would silently win over."""
    pod = _plain(agent.spec.security.pod_security_context)
    return {key: pod[key] for key in ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile") if key in pod}


def _plain(context: SecurityContext | PodSecurityContext | None) -> Manifest:
    if context is None:
        return {}
    dumped: Manifest = context.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    return dumped
