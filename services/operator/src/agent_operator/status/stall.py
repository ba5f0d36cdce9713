"""Why something that should have started has not, where only events tell: a volume's Secret, a Job's quota."""

from collections.abc import Sequence

import msgspec

from agent_api.agenttype import Reason
from agent_kube import Client, KubeError, ObjectMeta
from agent_operator.objects import JobObject, PodObject
from agent_operator.sources import CORE_EVENTS
from agent_operator.status.finding import Finding, missing_object, refused_pods
from agent_operator.status.podfaults import is_starting

LOOK_AGAIN_S = 10.0


class CoreEvent(msgspec.Struct, frozen=True, rename="camel"):
    """A core/v1 event, as the kubelet and the controllers write them."""

    metadata: ObjectMeta
    type: str = ""
    reason: str = ""
    message: str = ""


class EventList(msgspec.Struct, frozen=True):
    """A page of events."""

    items: list[CoreEvent] | None = None


class StallFinder:
    """Reads events, only of what is stuck and at most every `LOOK_AGAIN_S` seconds: they are not cached."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._decoder = msgspec.json.Decoder(EventList)

    async def of_pods(self, pods: Sequence[PodObject]) -> Finding | None:
        """Why the newest Pod that is still starting does not start; None when no warning tells."""
        stuck = next((pod for pod in pods if is_starting(pod)), None)
        return await self._newest_warning(stuck.metadata) if stuck else None

    async def of_job(self, job: JobObject | None, pods: Sequence[PodObject]) -> Finding | None:
        """Why a Job has no Pod."""
        if job is None or job.spec.suspend or job.status.active or pods:
            return None
        return await self._newest_warning(job.metadata)

    async def _newest_warning(self, metadata: ObjectMeta) -> Finding | None:
        selector = f"involvedObject.uid={metadata.uid},type=Warning"
        query = {"fieldSelector": selector, "limit": "50"}
        try:
            page = await self._client.list_page(CORE_EVENTS, metadata.namespace, query, accept="application/json")
        except KubeError:
            return None  # a hint less is better than a failed reconcile
        found = self._decoder.decode(page).items or []
        newest_first = sorted(found, key=lambda e: int(e.metadata.resource_version or 0), reverse=True)
        return next(filter(None, map(_explain, newest_first)), None)


def _explain(event: CoreEvent) -> Finding | None:
    if event.reason in {"FailedMount", "FailedCreatePodSandBox"}:
        return missing_object(event.message) or Finding(Reason.NOT_READY, event.message)
    return refused_pods(event.message) if event.reason == "FailedCreate" else None
