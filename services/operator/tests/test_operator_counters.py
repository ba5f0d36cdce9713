from typing import Any

from agent_kube import ObjectKey
from agent_operator.status.counters import CounterPace

KEY = ObjectKey("team", "web")


def llm(requests: int, breaker: str = "closed") -> dict[str, Any]:
    return {"answering": "main", "providers": {"main": {"requests": requests, "breaker": breaker}}}


def test_counters_are_written_once_in_a_while_and_faults_at_once() -> None:
    now = [1000.0]
    pace = CounterPace(60, clock=lambda: now[0])

    assert pace.calm(KEY, llm(1), None) == llm(1)
    now[0] += 10
    assert pace.calm(KEY, llm(5), llm(1)) == llm(1)
    assert pace.calm(KEY, llm(5, "open"), llm(1)) == llm(5, "open")
    now[0] += 51
    assert pace.calm(KEY, llm(9), llm(1)) == llm(9)
    now[0] += 10
    assert pace.calm(KEY, llm(12), llm(9)) == llm(9)


def test_an_operator_that_has_just_started_writes_what_it_finds() -> None:
    assert CounterPace(60, clock=lambda: 5.0).calm(KEY, llm(5), llm(1)) == llm(5)
