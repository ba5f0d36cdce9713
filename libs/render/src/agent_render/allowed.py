"""What of the cluster an author may choose, as the platform's `allowed` says, and what of an AgentType it refuses.

The platform's own defaults need no permission. A list that is not given allows everything.
"""

from collections.abc import Iterator

from agent_api.agenttype import AgentType, Pod
from agent_render.errors import UnsupportedError
from agent_render.settings import PlatformSettings

_HUB = "docker.io"


def check(agent: AgentType, settings: PlatformSettings) -> None:
    """Raises UnsupportedError that names everything that `settings.allowed` refuses."""
    refused = [
        f"{field}: the platform does not allow {value}; allowed: {', '.join(allowed) or 'none'}"
        for field, value, allowed in _asked(agent, settings)
        if value not in allowed and not (field in _IMAGES and is_from(value, allowed))
    ]
    if refused:
        raise UnsupportedError("; ".join(refused))


def is_from(image: str, registries: tuple[str, ...]) -> bool:
    """Whether `image` is of one of `registries`, each a host or a host with a beginning of the path."""
    name = full_name(image)
    return any(name.startswith(f"{registry.rstrip('/')}/") for registry in registries)


def full_name(image: str) -> str:
    """`image` with the host that all pullers mean where none is named."""
    first, slash, _ = image.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return image
    return f"{_HUB}/{image}" if slash else f"{_HUB}/library/{image}"


_IMAGES = ("agent.image", "agent.environment.image", "agent.volumes.image")


def _asked(agent: AgentType, settings: PlatformSettings) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(field, what the author chose, what is allowed), of what is restricted at all."""
    allowed, pod = settings.allowed, agent.spec.pod or Pod()
    memory = agent.spec.memory.config.storage_class if agent.spec.memory else None
    workspace = agent.spec.workspace.storage_class if agent.spec.workspace else None
    chosen = (
        *((field, image, allowed.registries) for field, image in _images(agent)),
        ("pod.runtimeClassName", pod.runtime_class_name, allowed.runtime_classes),
        ("pod.priorityClassName", pod.priority_class_name, allowed.priority_classes),
        ("pod.schedulerName", pod.scheduler_name, allowed.schedulers),
        ("workspace.storageClass", workspace, allowed.storage_classes),
        ("memory.config.storageClass", memory, allowed.storage_classes),
        *(("pod.nodeSelector", key, allowed.node_labels) for key in pod.node_selector),
        *(("pod.tolerations", one.key or "every taint", allowed.taints) for one in pod.tolerations),
        *(("agent.volumes", one.kind, allowed.volumes) for one in agent.spec.agent.volumes),
        *(("agent.volumes.csi", one.csi.driver, allowed.csi_drivers) for one in agent.spec.agent.volumes if one.csi),
        *(("pod.annotations", key, allowed.annotations) for key in pod.annotations),
        *(("pod.serviceAccount.annotations", key, allowed.account_annotations) for key in _account(pod)),
    )
    for field, value, permitted in chosen:
        if value is not None and permitted is not None:
            yield field, value, permitted


def _images(agent: AgentType) -> Iterator[tuple[str, str | None]]:
    spec = agent.spec.agent
    yield "agent.image", spec.own_image
    yield "agent.environment.image", spec.environment.image if spec.environment else None
    for volume in spec.volumes:
        yield "agent.volumes.image", volume.image.reference if volume.image else None


def _account(pod: Pod) -> dict[str, str]:
    return pod.service_account.annotations if pod.service_account else {}
