"""What is said of a memory, from its server, a sidecar's report and the status before."""

from typing import Any

import pytest
from services.operator.tests.operator_objects import agent, pod, state

from agent_api.agenttype import Memory
from agent_api.memoryreport import MemoryReport
from agent_operator.status.finding import Finding
from agent_operator.status.memory import ServerState, new_password
from agent_operator.status.memorystatus import is_stopped, judge_memory, memory_status, of_sidecar

UP = ServerState(ready=True)
SEEN = MemoryReport(reachable=True, used_bytes=5 << 20, max_bytes=16 << 20, keys=3, evicted_keys=0)


def memory(**fields: Any) -> Memory:
    return Memory.model_validate(fields)


@pytest.mark.parametrize(
    "server, report, truth, reason",
    [
        (UP, SEEN, "True", "Ready"),
        (UP, None, "True", "Ready"),
        (ServerState(ready=False), SEEN, "False", "Progressing"),
        (ServerState(ready=False, finding=Finding("ImagePullFailed", "no")), None, "False", "ImagePullFailed"),
        (ServerState(ready=True, finding=Finding("SecretMissing", "no")), SEEN, "False", "SecretMissing"),
        (UP, MemoryReport(reachable=False, error="refused"), "False", "MemoryUnreachable"),
        (UP, SEEN.model_copy(update={"full": True}), "False", "MemoryFull"),
        (ServerState(ready=True, finding=Finding("ClaimNotResized", "no")), SEEN, "False", "ClaimNotResized"),
        (None, SEEN, "True", "Ready"),
        (None, None, "Unknown", "NotObserved"),
    ],
)
def test_memory_is_judged_by_the_first_thing_that_is_wrong(
    server: ServerState | None, report: MemoryReport | None, truth: str, reason: str
) -> None:
    verdict = judge_memory(memory(), server, report)

    assert (verdict.status, verdict.reason) == (truth, reason)


def test_memory_that_cannot_be_reached_is_worse_than_a_claim_that_cannot_grow() -> None:
    server = ServerState(ready=True, finding=Finding("ClaimNotResized", "no"))

    assert judge_memory(memory(), server, MemoryReport(reachable=False)).reason == "MemoryUnreachable"


def test_sidecar_is_as_the_kubelet_has_it() -> None:
    down = state("memory", waiting={"reason": "CrashLoopBackOff"}, last={"exitCode": 1}, restarts=3)

    assert of_sidecar([pod(init=(state("memory", ready=True, running={}),))]) == ServerState(ready=True)
    found = of_sidecar([pod(init=(down,))])
    assert found is not None
    assert not found.ready
    assert found.finding is not None
    assert "ended with exit code 1, 3 restarts" in found.finding.message
    assert of_sidecar([]) is None
    assert of_sidecar([pod(init=(state("memory", running={}),), phase="Succeeded")]) is None


def test_memory_of_no_pod_is_neither_ready_nor_at_fault() -> None:
    verdict = judge_memory(memory(type="inmemory"), None, None)

    assert (verdict.status, verdict.reason) == ("Unknown", "Progressing")


@pytest.mark.parametrize(
    "spec, stopped",
    [
        ({"type": "inmemory"}, True),
        ({"config": {"persistence": True}}, True),
        ({}, False),
        ({"config": {"url": "redis://redis:6379"}}, False),
    ],
)
def test_suspended_memory_stops_where_that_loses_nothing_more(spec: dict[str, Any], stopped: bool) -> None:
    assert is_stopped(agent(memory=spec, suspend=True)) == stopped
    assert not is_stopped(agent(memory=spec))


def test_status_tells_figures_and_claim() -> None:
    subject = agent(memory={"config": {"persistence": True}})

    assert memory_status(subject, ServerState(ready=True, claim="1Gi"), SEEN, None) == {
        "type": "redis",
        "reachable": True,
        "claim": "1Gi",
        "usedBytes": 5 << 20,
        "maxBytes": 16 << 20,
        "keys": 3,
        "evictedKeys": 0,
    }


def test_small_change_of_what_is_used_is_no_news() -> None:
    before = {"usedBytes": (5 << 20) - 1000}

    steady = memory_status(agent(memory={}), UP, SEEN, before)
    moved = memory_status(agent(memory={}), UP, SEEN, {"usedBytes": 1 << 20})

    assert steady is not None
    assert steady["usedBytes"] == before["usedBytes"]
    assert moved is not None
    assert moved["usedBytes"] == SEEN.used_bytes


def test_server_that_is_down_is_told_without_stale_figures() -> None:
    assert memory_status(agent(memory={}), ServerState(ready=False), SEEN, None) == {
        "type": "redis",
        "reachable": False,
    }
    assert memory_status(agent(), None, None, None) is None


def test_passwords_differ_and_need_no_escape_in_a_url() -> None:
    passwords = {new_password() for _ in range(50)}

    assert len(passwords) == 50
    assert all(len(each) >= 43 and each.replace("-", "").replace("_", "").isalnum() for each in passwords)
