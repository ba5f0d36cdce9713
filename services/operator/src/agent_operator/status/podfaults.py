"""Why a Pod does not run, from what the scheduler and the kubelet say of it."""

from collections.abc import Iterable, Iterator

from agent_api import layout
from agent_api.agenttype import Reason
from agent_operator.objects import ContainerStatus, PodObject, Terminated, Waiting
from agent_operator.status.finding import Finding, missing_object
from agent_operator.status.hardening_denials import explain_refusal
from agent_operator.status.preparation import failed_preparation

_PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_NOT_STARTED = frozenset({"StartError", "ContainerCannotRun"})  # the message is the runtime's, not the container's
_LOOPS = "ends by itself and is restarted; an agent that is meant to end needs workload.kind: Job or CronJob"
_NO_ROOT = ": set container.securityContext.runAsUser to a user of the image, by number"
_ENDED = frozenset({"Succeeded", "Failed"})
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})


def newest(pods: Iterable[PodObject]) -> list[PodObject]:
    """Pods that are not being deleted, the newest first."""
    living = [pod for pod in pods if pod.metadata.deletion_timestamp is None]
    return sorted(living, key=lambda pod: (pod.metadata.creation_timestamp, pod.metadata.name), reverse=True)


def explain(pod: PodObject) -> Finding | None:
    """The first fault of `pod` in the order of its start; None when nothing is wrong or it is only starting."""
    return next(_faults(pod), None)


def is_starting(pod: PodObject) -> bool:
    """Scheduled, and nothing has gone wrong that the Pod's own status would tell: volumes may be missing."""
    if pod.status.phase != "Pending" or not _scheduled(pod):
        return False
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    waiting = [status.state.waiting for status in statuses]
    return bool(waiting) and all(state is not None and state.reason in _STARTING for state in waiting)


def has_ended(pod: PodObject) -> bool:
    """Whether none of its containers runs, or will again."""
    return pod.status.phase in _ENDED


def _faults(pod: PodObject) -> Iterator[Finding]:
    status = pod.status
    if status.reason == "Evicted":
        yield Finding(Reason.EVICTED, status.message)
    for condition in status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False" and condition.reason == "Unschedulable":
            claim = "PersistentVolumeClaim" in condition.message
            yield Finding(Reason.CLAIM_PENDING if claim else Reason.UNSCHEDULABLE, condition.message)
    for container in (*status.init_container_statuses, *status.container_statuses):
        found = fault_of(container)
        if found:
            yield found


def fault_of(container: ContainerStatus) -> Finding | None:
    """What is wrong with one container."""
    waiting = container.state.waiting
    if waiting is not None and waiting.reason in _PULL_REASONS:
        return Finding(Reason.IMAGE_PULL_FAILED, f"container {container.name}: {waiting.message or waiting.reason}")
    if waiting is not None and waiting.reason.startswith("Create"):  # CreateContainerConfigError and its kin
        return missing_object(waiting.message) or _crash(container, _not_created(waiting))
    ended = container.state.terminated or (container.last_state.terminated if waiting is not None else None)
    if ended is None:
        return None
    if ended.exit_code == 0:
        return _crash(container, _LOOPS) if waiting is not None and waiting.reason == "CrashLoopBackOff" else None
    return _ended(container, ended)


def _ended(container: ContainerStatus, ended: Terminated) -> Finding:
    if container.name in layout.PREPARING:
        return failed_preparation(ended)
    if ended.reason == "OOMKilled":
        text = f"container {container.name} was killed at its memory limit: raise spec.resources"
        return Finding(Reason.OUT_OF_MEMORY, text)
    if ended.reason in _NOT_STARTED:
        return _crash(container, f"could not be started: {ended.message}")
    refused = explain_refusal(ended.message)
    return _crash(container, f"ended with exit code {ended.exit_code}{f': {refused}' if refused else ''}")


def _not_created(waiting: Waiting) -> str:
    cure = _NO_ROOT if "runAsNonRoot" in waiting.message else ""
    return f"{waiting.message or waiting.reason}{cure}"


def _crash(container: ContainerStatus, what: str) -> Finding:
    restarts = f", {container.restart_count} restarts" if container.restart_count else ""
    return Finding(Reason.CRASHING, f"container {container.name}: {what}{restarts}")


def _scheduled(pod: PodObject) -> bool:
    return any(c.type == "PodScheduled" and c.status == "True" for c in pod.status.conditions)
