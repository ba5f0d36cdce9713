"""What an author may choose of a cluster: one row for each field that the platform can restrict.

Rendering judges an AgentType by these rows, and the admission policy is made of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from agent_api.agenttype import AgentType, Pod
from agent_api.agenttype.volumes import SOURCES
from agent_render.settings.allowed import Allowed, Names

EVERY_TAINT: Final = "every taint"
"""How a toleration without a key is called in a list of taints."""

_POD = "object.spec.?pod"
_VOLUMES = "object.spec.agent.?volumes.orValue([])"


@dataclass(frozen=True)
class Choice:
    """A field that a list of `allowed` restricts."""

    field: str
    """Path below `spec`, as messages name it."""
    permitted: Callable[[Allowed], Names]
    chosen: Callable[[AgentType], Iterable[str | None]]
    """The values in an AgentType; None where it chooses nothing."""
    cel: str
    """The same values as a CEL list of strings, of `object`."""
    is_image: bool = False
    """Whether a value may also be allowed by the registry it is of."""


def _pod(agent: AgentType) -> Pod:
    return agent.spec.pod or Pod()


def _account_annotations(agent: AgentType) -> Iterable[str]:
    account = _pod(agent).service_account
    return account.annotations if account else ()


def _images(agent: AgentType) -> Iterable[str]:
    return [volume.image.reference for volume in agent.spec.agent.volumes if volume.image]


def _given(*paths: str) -> str:
    """CEL: the values of optional fields that are there, each once."""
    return f"[{', '.join(paths)}].filter(o, o.hasValue()).map(o, o.value())"


def _volume_kinds() -> str:
    return " + ".join(f"{_VOLUMES}.filter(v, has(v.{kind})).map(v, '{kind}')" for kind in SOURCES)


CHOICES: Final = (
    Choice(
        "agent.image",
        lambda allowed: allowed.registries,
        lambda agent: [agent.spec.agent.own_image],
        _given("object.spec.agent.?image", "object.spec.agent.?container.?image"),
        is_image=True,
    ),
    Choice(
        "agent.environment.image",
        lambda allowed: allowed.registries,
        lambda agent: [agent.spec.agent.environment.image if agent.spec.agent.environment else None],
        _given("object.spec.agent.?environment.?image"),
        is_image=True,
    ),
    Choice(
        "agent.volumes.image",
        lambda allowed: allowed.registries,
        _images,
        f"{_VOLUMES}.filter(v, has(v.image)).map(v, v.image.reference)",
        is_image=True,
    ),
    Choice(
        "pod.runtimeClassName",
        lambda allowed: allowed.runtime_classes,
        lambda agent: [_pod(agent).runtime_class_name],
        _given(f"{_POD}.?runtimeClassName"),
    ),
    Choice(
        "pod.priorityClassName",
        lambda allowed: allowed.priority_classes,
        lambda agent: [_pod(agent).priority_class_name],
        _given(f"{_POD}.?priorityClassName"),
    ),
    Choice(
        "pod.schedulerName",
        lambda allowed: allowed.schedulers,
        lambda agent: [_pod(agent).scheduler_name],
        _given(f"{_POD}.?schedulerName"),
    ),
    Choice(
        "workspace.storageClass",
        lambda allowed: allowed.storage_classes,
        lambda agent: [agent.spec.workspace.storage_class if agent.spec.workspace else None],
        _given("object.spec.?workspace.?storageClass"),
    ),
    Choice(
        "memory.config.storageClass",
        lambda allowed: allowed.storage_classes,
        lambda agent: [agent.spec.memory.config.storage_class if agent.spec.memory else None],
        _given("object.spec.?memory.?config.?storageClass"),
    ),
    Choice(
        "pod.nodeSelector",
        lambda allowed: allowed.node_labels,
        lambda agent: _pod(agent).node_selector,
        f"{_POD}.?nodeSelector.orValue({{}}).map(key, key)",
    ),
    Choice(
        "pod.tolerations",
        lambda allowed: allowed.taints,
        lambda agent: [toleration.key or EVERY_TAINT for toleration in _pod(agent).tolerations],
        f"{_POD}.?tolerations.orValue([]).map(t, t.?key.orValue('') == '' ? '{EVERY_TAINT}' : t.key)",
    ),
    Choice(
        "agent.volumes",
        lambda allowed: allowed.volumes,
        lambda agent: [volume.kind for volume in agent.spec.agent.volumes],
        _volume_kinds(),
    ),
    Choice(
        "agent.volumes.csi",
        lambda allowed: allowed.csi_drivers,
        lambda agent: [volume.csi.driver for volume in agent.spec.agent.volumes if volume.csi],
        f"{_VOLUMES}.filter(v, has(v.csi)).map(v, v.csi.driver)",
    ),
    Choice(
        "pod.annotations",
        lambda allowed: allowed.annotations,
        lambda agent: _pod(agent).annotations,
        f"{_POD}.?annotations.orValue({{}}).map(key, key)",
    ),
    Choice(
        "pod.serviceAccount.annotations",
        lambda allowed: allowed.account_annotations,
        _account_annotations,
        f"{_POD}.?serviceAccount.?annotations.orValue({{}}).map(key, key)",
    ),
)
