"""Where the Pods run and with what of the cluster: the author's `spec.pod` over the platform's `pod`."""

from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel

from agent_api.agenttype import AgentType, Pod
from agent_api.agenttype.pod import AccountSettings, TopologySpreadConstraint
from agent_render.identity import Identity, Manifest
from agent_render.settings import PlatformSettings

Item = TypeVar("Item", bound=BaseModel)

_SCALARS = ("runtime_class_name", "priority_class_name", "scheduler_name", "affinity", "dns_config")


def pod_settings(agent: AgentType, settings: PlatformSettings) -> Pod:
    """Both as one. Maps and lists are added up, the author's last; of everything else the author's is taken."""
    own, base = agent.spec.pod or Pod(), settings.pod
    account = {**_account(base), **_account(own)}
    grace = own.termination_grace_period_seconds or base.termination_grace_period_seconds
    return Pod.model_construct(
        image_pull_secrets=_together(base.image_pull_secrets, own.image_pull_secrets),
        node_selector={**base.node_selector, **own.node_selector},
        tolerations=_together(base.tolerations, own.tolerations),
        host_aliases=_together(base.host_aliases, own.host_aliases),
        topology_spread_constraints=own.topology_spread_constraints or base.topology_spread_constraints,
        annotations={**base.annotations, **own.annotations},
        labels={**base.labels, **own.labels},
        service_account=AccountSettings(annotations=account) if account else None,
        termination_grace_period_seconds=grace or settings.termination_grace_seconds,
        **{name: getattr(base if getattr(own, name) is None else own, name) for name in _SCALARS},
    )


def of_agent(agent: AgentType, settings: PlatformSettings) -> Manifest:
    """The fields of the agent's Pods."""
    pod = pod_settings(agent, settings)
    fields = {
        **_anywhere(pod),
        "affinity": as_written(pod.affinity) if pod.affinity else None,
        "topologySpreadConstraints": _spread(agent, pod),
        "hostAliases": _dumped(pod.host_aliases),
        "dnsConfig": _plain(pod.dns_config) if pod.dns_config else None,
        "terminationGracePeriodSeconds": pod.termination_grace_period_seconds,
    }
    return {name: value for name, value in fields.items() if value}


def of_memory(agent: AgentType, settings: PlatformSettings) -> Manifest:
    """The fields of the Pods of its memory: in the same places, but for what is about several replicas."""
    pod = pod_settings(agent, settings)
    node = pod.affinity.node_affinity if pod.affinity else None
    fields = {
        **_anywhere(pod),
        "affinity": {"nodeAffinity": as_written(node)} if node else None,
        "terminationGracePeriodSeconds": settings.termination_grace_seconds,
    }
    return {name: value for name, value in fields.items() if value}


def metadata(agent: AgentType, settings: PlatformSettings, component: str = "agent") -> Manifest:
    """Labels and annotations of a Pod; of one key the label that selects it is ours."""
    pod = pod_settings(agent, settings)
    labels = {**pod.labels, **Identity.of(agent).labels(component)}
    return {"labels": labels, **({"annotations": dict(pod.annotations)} if pod.annotations else {})}


def _anywhere(pod: Pod) -> Manifest:
    return {
        "imagePullSecrets": _dumped(pod.image_pull_secrets),
        "nodeSelector": dict(pod.node_selector),
        "tolerations": _dumped(pod.tolerations),
        "runtimeClassName": pod.runtime_class_name,
        "priorityClassName": pod.priority_class_name,
        "schedulerName": pod.scheduler_name,
    }


def _spread(agent: AgentType, pod: Pod) -> list[Manifest]:
    mine = {"matchLabels": Identity.of(agent).selector()}
    return [{"labelSelector": mine, **_plain(one), **_own_selector(one)} for one in pod.topology_spread_constraints]


def _own_selector(constraint: TopologySpreadConstraint) -> Manifest:
    selector = constraint.label_selector
    return {"labelSelector": as_written(selector)} if selector else {}


def as_written(model: BaseModel) -> Manifest:
    """`model` with the fields that its author gave, and no defaults of ours."""
    dumped: Manifest = model.model_dump(mode="json", exclude_unset=True)
    return dumped


def _account(pod: Pod) -> dict[str, str]:
    return pod.service_account.annotations if pod.service_account else {}


def _together(first: Iterable[Item], then: Iterable[Item]) -> tuple[Item, ...]:
    """Both lists, what is in both once."""
    kept: list[Item] = []
    for item in (*first, *then):
        if item not in kept:
            kept.append(item)
    return tuple(kept)


def _dumped(items: Iterable[BaseModel]) -> list[Manifest]:
    return [_plain(item) for item in items]


def _plain(model: BaseModel) -> Manifest:
    dumped: Manifest = model.model_dump(mode="json", exclude_none=True)
    return {key: value for key, value in dumped.items() if value not in ([], {})}
