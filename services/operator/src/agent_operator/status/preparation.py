"""The init container's report, as it comes through the termination message of its container."""

from collections.abc import Sequence

from pydantic import ValidationError

from agent_api import layout
from agent_api.agenttype import ConditionType, Reason
from agent_api.initreport import InitReport
from agent_operator.objects import ContainerStatus, PodObject, Terminated
from agent_operator.status.conditionlist import Verdict
from agent_operator.status.finding import Finding


def judge_preparation(pods: Sequence[PodObject], *, needed: bool) -> Verdict:
    """`WorkspacePrepared`, from the newest Pod whose init container says something; `pods` newest first."""
    kind = ConditionType.WORKSPACE_PREPARED
    if not needed:
        return Verdict(kind, "True", Reason.NOT_NEEDED, "the agent needs nothing prepared")
    for status in filter(None, (_init_status(pod) for pod in pods)):
        ended = status.state.terminated or status.last_state.terminated
        if ended is None:
            return Verdict(kind, "Unknown", Reason.PREPARING, "the init container is running")
        if ended.exit_code == 0:
            return Verdict(kind, "True", Reason.PREPARED, _success(ended))
        fault = failed_preparation(ended)
        return Verdict(kind, "False", fault.reason, fault.message)
    return Verdict(kind, "Unknown", Reason.PREPARING, "no Pod has started to prepare")


def failed_preparation(ended: Terminated) -> Finding:
    """The report's own cause and cure. Anything else an init image wrote is not shown: it could be a secret."""
    report = _report(ended)
    if report is None or report.error is None:
        return Finding(Reason.PREPARE_FAILED, f"the init container ended with exit code {ended.exit_code}, no report")
    error = report.error
    return Finding(error.fault, f"{error.step}: {error.cause} {error.cure}")


def _success(ended: Terminated) -> str:
    report = _report(ended)
    if report is None:
        return "prepared"
    packages = f", {len(report.versions)} packages" if report.versions else ""
    return f"prepared in {report.seconds:.1f} s{packages}"


def _report(ended: Terminated) -> InitReport | None:
    try:
        return InitReport.model_validate_json(ended.message)
    except ValidationError:
        return None


def _init_status(pod: PodObject) -> ContainerStatus | None:
    """Of the first container that has not prepared its part; of the first one when all have."""
    preparing = [s for s in pod.status.init_container_statuses if s.name in layout.PREPARING]
    return next((s for s in preparing if not _is_done(s)), preparing[0] if preparing else None)


def _is_done(status: ContainerStatus) -> bool:
    ended = status.state.terminated
    return ended is not None and ended.exit_code == 0
