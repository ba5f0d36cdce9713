import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from services.operator.tests.operator_objects import agent, deployment, pod, state

from agent_api.agenttype import ConditionType, Reason
from agent_api.initreport import InitError, InitFault, InitReport
from agent_api.toolsreport import ToolsReport
from agent_kube import Forbidden, HotLoopError, Invalid, ServerFault
from agent_operator.status.api_rejection import failed_pass
from agent_operator.status.conditionlist import Verdict, conditions
from agent_operator.status.conditions import Seen, hold_status, invalid_status, status_of
from agent_operator.status.finding import Finding
from agent_operator.status.preparation import judge_preparation
from agent_operator.status.progress import LastRun, Progress, of_deployment, suspended
from agent_operator.status.sidecars import Sidecars
from agent_operator.status.texts import TEXT_CHARS, bounded

EARLIER, NOW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
PREPARING = {"environment": {"files": [{"path": "a", "content": "b"}]}, "image": "nginx:1.27"}
RUNNING = of_deployment(deployment(wanted=1, ready=1), [], None)


def seen(progress: Progress = RUNNING, **parts: Any) -> Seen:
    return Seen(agent=parts.pop("agent", agent()), progress=progress, pods=parts.pop("pods", []), **parts)


def status(found: Seen, before: dict[str, Any] | None = None, *, generation: int = 1) -> dict[str, Any]:
    return status_of(found, before or {}, generation=generation, now=NOW)


def entry(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(c for c in found["conditions"] if c["type"] == kind)


def init_state(**container: Any) -> Any:
    return pod(init=(state("initenv", **container),), phase="Pending")


@given(
    st.lists(st.sampled_from(["True", "False", "Unknown"]), min_size=1, max_size=8),
    st.integers(min_value=1, max_value=99),
)
def test_time_moves_only_with_the_status(truths: list[Any], generation: int) -> None:
    found: list[dict[str, Any]] = []
    for step, truth in enumerate(truths):
        verdict = Verdict(ConditionType.READY, truth, f"Reason{step}", str(step))
        before = found
        found = conditions([verdict], found, generation=generation, now=f"t{step}")
        same = bool(before) and before[0]["status"] == truth
        assert found[0]["lastTransitionTime"] == (before[0]["lastTransitionTime"] if same else f"t{step}")
        assert (found[0]["observedGeneration"], found[0]["message"]) == (generation, str(step))


def test_texts_of_others_are_cut_and_printable_wherever_they_stand() -> None:
    hostile = "\x1b]0;owned\x07" + "x" * 40_000
    before = {
        "message": hostile,
        "toolStatus": {"a\x1b[2J": {"error": hostile, "tries": 3}},
        "conditions": [hostile] * 999,
    }

    found = bounded(before)

    assert len(found["message"]) == TEXT_CHARS
    assert list(found["toolStatus"]) == ["a"]
    assert found["toolStatus"]["a"]["tries"] == 3
    assert len(found["conditions"]) == 256
    assert len(json.dumps(found)) < 2 << 20
    assert "\\u001b" not in json.dumps(found)


def test_an_invalid_spec_leaves_what_is_known_of_the_runs() -> None:
    runs = {"lastRun": {"job": "a"}, "startedJob": "a", "replicas": 2}

    found = invalid_status(Finding(Reason.INVALID, "no"), {**runs, "toolStatus": {}}, generation=2, now=NOW)

    assert {name: found[name] for name in runs} == runs
    assert "toolStatus" not in found


@pytest.mark.parametrize(
    "error, reason, words",
    [
        (HotLoopError(10), "HotLoop", "written too often"),
        (ServerFault("500: failed calling webhook"), "NotReady", "failed calling webhook"),
        (Forbidden("exceeded quota: tight"), "QuotaExceeded", "tight"),
        (Invalid("spec.x: bad"), "ApplyRefused", "spec.x"),
        (KeyError("hunter2"), "NotReady", "KeyError"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_why_a_pass_did_not_come_to_its_end(error: Exception, reason: str, words: str) -> None:
    found = failed_pass(error)

    assert found.reason == reason
    assert words in found.message
    assert "hunter2" not in found.message


def test_all_is_well() -> None:
    found = status(seen(), generation=3)

    assert [c["type"] for c in found["conditions"]] == ["Accepted", "WorkspacePrepared", "Available", "Ready"]
    assert {c["status"] for c in found["conditions"]} == {"True"}
    assert {c["observedGeneration"] for c in found["conditions"]} == {3}
    assert (found["phase"], found["reason"], found["message"]) == ("Running", "Ready", "1 of 1 Pods ready")
    assert (found["replicas"], found["readyReplicas"], found["observedGeneration"]) == (1, 1, 3)
    assert found["selector"] == "agents.example.com/agent=subject,app.kubernetes.io/component=agent"


def test_status_never_holds_a_null() -> None:
    """A merge patch would send it for ever."""
    found = status(seen(sidecars=Sidecars(status={"toolStatus": None, "llmStatus": None})))

    assert None not in found.values()


def test_last_run_is_kept_when_nothing_new_ended() -> None:
    last = {"job": "a", "result": "Failed", "finishedAt": EARLIER}

    assert status(seen(), {"lastRun": last})["lastRun"] == last
    newer = LastRun("b", "Succeeded", NOW)
    ended = Progress("Succeeded", Reason.COMPLETED, "", settled=True, last_run=newer)
    assert status(seen(ended), {"lastRun": last})["lastRun"] == newer.plain()


def test_refused_child_is_said_first_and_fails_only_what_does_not_run() -> None:
    refusal = Finding(Reason.APPLY_REFUSED, "Deployment subject: invalid")

    running = status(seen(refusal=refusal))
    assert (running["phase"], running["reason"]) == ("Running", "ApplyRefused")
    assert entry(running, "Accepted")["status"] == "False"
    assert status(seen(of_deployment(None, [], None), refusal=refusal))["phase"] == "Failed"
    waiting = Finding(Reason.QUOTA_EXCEEDED, "exceeded quota")
    assert status(seen(of_deployment(None, [], None), refusal=waiting))["phase"] == "Pending"


def test_fault_of_a_pod_is_the_reason_of_ready() -> None:
    stuck = of_deployment(deployment(), [], Finding(Reason.SECRET_MISSING, "no secret"))

    found = status(seen(stuck))

    assert (found["phase"], found["reason"], found["message"]) == ("Pending", "SecretMissing", "no secret")
    assert entry(found, "Available")["reason"] == "Progressing"


def test_unready_sidecar_keeps_ready_false() -> None:
    verdict = Verdict(ConditionType.TOOLS_READY, "False", Reason.TOOL_FAILED, "git: no such release")

    found = status(seen(sidecars=Sidecars((verdict,))))

    assert (found["reason"], found["message"]) == ("ToolFailed", "ToolsReady: git: no such release")
    assert [c["type"] for c in found["conditions"]][2] == "ToolsReady"
    assert (
        status(seen(Progress("Succeeded", Reason.COMPLETED, "", settled=True), sidecars=Sidecars((verdict,))))["reason"]
        == "Completed"
    )


def test_unknown_settings_are_named_and_do_no_harm() -> None:
    found = status(seen(unknown_settings=("spec.memory.config.evction",)))

    assert entry(found, "Accepted")["reason"] == "UnknownSettings"
    assert "spec.memory.config.evction" in entry(found, "Accepted")["message"]
    assert found["reason"] == "Ready"


def test_weaker_posture_is_said_beside_the_rest() -> None:
    found = status(seen(weaknesses=("a writable root", "profile baseline")))

    assert entry(found, "SecurityPosture")["message"] == "a writable root; profile baseline"
    assert found["reason"] == "Ready"
    assert all(c["type"] != "SecurityPosture" for c in status(seen())["conditions"])


@pytest.mark.parametrize(
    "isolation,status_,words",
    [
        ({"landlock": 7, "files": True, "signals": True, "systemCalls": True}, "True", "Landlock 7"),
        ({"landlock": 3, "files": True, "systemCalls": True}, "False", "tools can end each other"),
        ({"systemCalls": True}, "False", "Landlock is missing"),
        ({"landlock": 7, "files": True, "signals": True}, "False", "no filter of system calls"),
    ],
)
def test_the_posture_says_what_the_nodes_kernel_gives(isolation: dict[str, Any], status_: str, words: str) -> None:
    report = ToolsReport.model_validate({"agent": "a", "ready": True, "isolation": isolation})

    found = entry(status(seen(sidecars=Sidecars(tools=report))), "SecurityPosture")

    assert found["status"] == status_
    assert words in found["message"]


def test_suspended_is_not_ready() -> None:
    found = status(seen(suspended(replicas=0)))

    assert (found["phase"], found["reason"], entry(found, "Ready")["status"]) == ("Pending", "Suspended", "False")


def test_invalid_spec_leaves_two_conditions() -> None:
    found = invalid_status(Finding(Reason.INVALID, "spec.agent: no"), {}, generation=2, now=NOW)

    assert (found["phase"], found["reason"], found["observedGeneration"]) == ("Failed", "Invalid", 2)
    assert [(c["type"], c["status"]) for c in found["conditions"]] == [("Accepted", "False"), ("Ready", "False")]


def test_hold_keeps_what_was_seen() -> None:
    before = status(seen())

    held = hold_status(Finding(Reason.HOT_LOOP, "somebody fights"), before, generation=1, now=NOW)

    assert (held["phase"], held["reason"], held["readyReplicas"]) == ("Running", "HotLoop", 1)
    assert entry(held, "Ready")["status"] == "False"
    assert entry(held, "Available") == entry(before, "Available")
    assert hold_status(Finding(Reason.HOT_LOOP, ""), {}, generation=1, now=NOW)["phase"] == "Pending"


def test_nothing_to_prepare() -> None:
    found = judge_preparation([], needed=False)

    assert (found.status, found.reason) == ("True", "NotNeeded")


@pytest.mark.parametrize("pods", [[], [init_state(waiting={"reason": "PodInitializing"})], [pod()]])
def test_preparation_that_has_not_ended(pods: list[Any]) -> None:
    found = judge_preparation(pods, needed=True)

    assert (found.status, found.reason) == ("Unknown", "Preparing")


def test_preparation_is_told_in_the_words_of_its_report() -> None:
    report = InitReport(agent="a", outcome="succeeded", seconds=2.04, versions={"requests": "2", "six": "1"}).line()

    found = judge_preparation([init_state(terminated={"exitCode": 0, "message": report})], needed=True)

    assert (found.status, found.reason, found.message) == ("True", "Prepared", "prepared in 2.0 s, 2 packages")


def test_report_of_a_custom_image_that_is_none_is_not_repeated() -> None:
    well = judge_preparation([init_state(terminated={"exitCode": 0, "message": "hunter2"})], needed=True)
    badly = judge_preparation([init_state(terminated={"exitCode": 9, "message": "hunter2"})], needed=True)

    assert well.message == "prepared"
    assert (badly.status, badly.reason) == ("False", "PrepareFailed")
    assert badly.message == "the init container ended with exit code 9, no report"


def test_setup_has_a_container_of_its_own_and_is_judged_too() -> None:
    report = InitReport(agent="a", outcome="succeeded", seconds=2.0).line()
    error = InitError(step="setup", fault=InitFault.SETUP_FAILED, cause="The setup step 'x' failed.", cure="Look.")
    failed = InitReport(agent="a", outcome="failed", seconds=1.0, error=error).line()
    prepared = {"name": "initenv", "state": {"terminated": {"exitCode": 0, "message": report}}}

    def judge(state: dict[str, Any]) -> tuple[str, str]:
        setup = {"name": "initenv-setup", "state": state}
        found = judge_preparation([pod(init=(prepared, setup))], needed=True)
        return found.status, found.reason

    assert judge({"waiting": {"reason": "PodInitializing"}}) == ("Unknown", "Preparing")
    assert judge({"running": {}}) == ("Unknown", "Preparing")
    assert judge({"terminated": {"exitCode": 1, "message": failed}}) == ("False", "SetupFailed")
    assert judge({"terminated": {"exitCode": 0, "message": report}}) == ("True", "Prepared")


def test_init_container_that_failed_before_and_runs_again() -> None:
    again = init_state(running={}, last={"exitCode": 1, "message": ""})

    assert judge_preparation([again], needed=True).reason == "PrepareFailed"


def test_phase_of_a_preparing_agent() -> None:
    found = status(seen(of_deployment(deployment(), [], None), agent=agent(agent=PREPARING)))

    assert entry(found, "WorkspacePrepared")["status"] == "Unknown"
    assert (found["phase"], found["reason"]) == ("Pending", "Progressing")


@pytest.mark.parametrize(
    "spec,served,expected",
    [
        ({"monitoring": {}, "tools": {"required": ["git"]}}, True, ("True", Reason.COLLECTED)),
        ({"monitoring": {}, "tools": {"required": ["git"]}}, False, ("False", Reason.NO_POD_MONITORS)),
        ({"monitoring": {}}, False, ("True", Reason.NOT_NEEDED)),
    ],
)
def test_whether_metrics_are_collected_is_said_and_has_no_part_in_ready(
    spec: dict[str, Any], served: bool, expected: tuple[str, str]
) -> None:
    found = status(seen(agent=agent(**spec), pod_monitors=served))

    monitored = entry(found, "Monitored")
    assert (monitored["status"], monitored["reason"]) == expected
    assert entry(found, "Ready")["status"] == "True"


@pytest.mark.parametrize("spec", [{}, {"monitoring": {"enabled": False}}])
def test_nothing_is_said_of_metrics_that_nobody_wants(spec: dict[str, Any]) -> None:
    assert "Monitored" not in {c["type"] for c in status(seen(agent=agent(**spec)))["conditions"]}
