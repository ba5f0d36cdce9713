"""What the platform's sidecars have in common: native sidecars that start before the agent and end after it."""

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_render.identity import Identity, Manifest
from agent_render.parts import outside
from agent_render.parts.hardening import restricted_context
from agent_render.parts.monitoring import ops_port_name, trace_variables
from agent_render.parts.part import mount, scratch, variable
from agent_render.parts.sizes import SizedContainer, resources
from agent_render.settings import PlatformSettings

_STARTUP_FAILURES = 300  # at one a second; installing tools takes its time
SECRET_MODE = 0o440
# Of all sidecars of a Pod, so that their spans and recorded calls are one trace.
_RUN: Manifest = {"name": "AGENT_RUN_ID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}


def container(  # noqa: PLR0913 - each is one thing in which sidecars differ
    agent: AgentType,
    settings: PlatformSettings,
    *,
    name: SizedContainer,
    image: str,
    uid: int,
    ops_port: int,
    mounts: tuple[Manifest, ...],
) -> Manifest:
    """A native sidecar. The agent starts only when its /readyz has answered once: see `startorder`."""
    _, tmp_mount = scratch(name, settings.tmp_size)
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": settings.images.pull_policy,
        "restartPolicy": "Always",
        "ports": [{"name": ops_port_name(name), "containerPort": ops_port, "protocol": "TCP"}],
        "startupProbe": {**_probe("/readyz", ops_port), "periodSeconds": 1, "failureThreshold": _STARTUP_FAILURES},
        "readinessProbe": {**_probe("/readyz", ops_port), "periodSeconds": 5},
        "livenessProbe": {**_probe("/livez", ops_port), "periodSeconds": 10},
        "env": [*_identity(agent), _RUN, *outside.variables(settings), *trace_variables(agent, settings, name)],
        "resources": resources(agent, settings, name),
        "securityContext": restricted_context(agent, settings, uid),
        "volumeMounts": [*mounts, *outside.mounts(settings), tmp_mount],
    }


def config_volume(agent: AgentType, volume: str, key: str, *, token: str, report_key: str) -> Manifest:
    """A sidecar's own keys of the agent's ConfigMap. A folder, so that a change arrives in the running Pod."""
    files = ((key, key), (token, layout.TOKEN_FILE), (report_key, layout.REPORT_KEY_FILE))
    items = [{"key": name, "path": path} for name, path in files]
    return {"name": volume, "configMap": {"name": Identity.of(agent).config, "items": items}}


def token_variable(agent: AgentType, name: str, key: str) -> Manifest:
    """A variable of the agent with the token of a sidecar."""
    return {"name": name, "valueFrom": {"configMapKeyRef": {"name": Identity.of(agent).config, "key": key}}}


def secret_volume(volume: str, secret: str) -> Manifest:
    """A Secret for one container: its files are readable by the Pod's group alone."""
    return {"name": volume, "secret": {"secretName": secret, "defaultMode": SECRET_MODE}}


def credentials(folder: str, named: dict[str, str]) -> tuple[tuple[Manifest, ...], tuple[Manifest, ...]]:
    """Volumes and mounts of Secrets by owner, each below `folder`/<owner>; `named` is Secret by owner."""
    volumes = tuple(secret_volume(f"key-{at}", secret) for at, secret in enumerate(named.values()))
    mounts = tuple(mount(f"key-{at}", f"{folder}/{owner}") for at, owner in enumerate(named))
    return volumes, mounts


def _probe(path: str, port: int) -> Manifest:
    return {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}}


def _identity(agent: AgentType) -> tuple[Manifest, ...]:
    """Whose sidecar it is, for each line of its log."""
    identity = Identity.of(agent)
    return variable("AGENT_NAME", identity.name), variable("AGENT_NAMESPACE", identity.namespace)
