"""The Pods of an agent as its budget sees them: whose gateway can be asked, and which spend no more."""

from collections.abc import Iterable

from agent_api import layout
from agent_api.budget.ledger import PodState
from agent_operator.budget.exchange import last_receipt
from agent_operator.objects import ContainerStatus, PodObject
from agent_render.objects.podkeys import PodKeys

_ENDED = frozenset({"Succeeded", "Failed"})


def gateway_of(pod: PodObject) -> ContainerStatus | None:
    """The status of the gateway's container."""
    return next((each for each in pod.status.init_container_statuses if each.name == layout.LLMGATEWAY), None)


def is_running(pod: PodObject) -> bool:
    """Whether its gateway may answer."""
    gateway = gateway_of(pod)
    if gateway is None or not pod.status.pod_ip:
        return False
    return gateway.state.waiting is None and gateway.state.terminated is None


def states_of(pods: Iterable[PodObject], keys: PodKeys) -> dict[str, PodState]:
    """Each Pod before its gateway is asked.

    A Pod counts as ended when the kubelet says that its gateway is, and that nothing starts it again. One that is
    over without such a word, as after an eviction, is left out, as if it were gone: it may still run.
    """
    found = {}
    for pod in pods:
        uid, gateway = pod.metadata.uid, gateway_of(pod)
        over = pod.status.phase in _ENDED
        terminated = gateway.state.terminated if gateway else None
        ended = terminated is not None and (over or pod.metadata.deletion_timestamp is not None)
        if over and not ended:
            continue
        receipt = None
        if ended and terminated is not None:
            receipt = last_receipt(terminated.message, keys.signer(layout.LLMGATEWAY, uid))
        found[uid] = PodState(uid, run=run_of(pod), ended=ended, receipt=receipt)
    return found


def run_of(pod: PodObject) -> str:
    """The uid of the Job that a Pod runs for; "" without one."""
    controller = pod.metadata.controller
    return controller.uid if controller is not None and controller.kind == "Job" else ""
