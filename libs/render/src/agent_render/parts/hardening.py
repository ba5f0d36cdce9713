"""Security contexts. Init and sidecars are always `restricted`; the agent is too, unless its profile says baseline."""

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.agenttype.kubernetes.security import PodSecurityContext, SecurityContext
from agent_render.identity import Manifest
from agent_render.settings import PlatformSettings


def profile(agent: AgentType, settings: PlatformSettings) -> str:
    """The agent container's profile, restricted or baseline."""
    return agent.spec.security.profile or settings.security_profile


def pod_context(agent: AgentType) -> Manifest:
    """The Pod's security context, with the user's own settings over it.

    A group without a user is set on the containers instead: containerd starts no sandbox with it.
    """
    own = _plain(agent.spec.security.pod_security_context)
    if "runAsUser" not in own:
        own.pop("runAsGroup", None)
    return {
        "runAsNonRoot": True,
        "fsGroup": layout.POD_GID,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
        **own,
    }


def restricted_context(uid: int) -> Manifest:
    """The context of a container that passes PodSecurity `restricted`, as user `uid`."""
    return {
        "runAsUser": uid,
        "runAsGroup": layout.POD_GID,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def agent_context(agent: AgentType, settings: PlatformSettings) -> Manifest:
    """The agent container's context: its profile with the user's own settings over it."""
    container = agent.spec.agent.container
    own = {**_inherited(agent), **_plain(container.security_context if container else None)}
    if profile(agent, settings) == "baseline":
        base: Manifest = {"runAsNonRoot": False, "allowPrivilegeEscalation": False}
        return {**base, **own}
    capabilities = {**own.pop("capabilities", {}), "drop": ["ALL"]}
    return {**restricted_context(layout.AGENT_UID), **own, "capabilities": capabilities}


def _inherited(agent: AgentType) -> Manifest:
    """What the Pod's own context asks for and our defaults for the container would silently win over."""
    pod = _plain(agent.spec.security.pod_security_context)
    return {key: pod[key] for key in ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile") if key in pod}


def _plain(context: SecurityContext | PodSecurityContext | None) -> Manifest:
    if context is None:
        return {}
    dumped: Manifest = context.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    return dumped
