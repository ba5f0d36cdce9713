from prometheus_client import CollectorRegistry

from agent_kube import ObjectKey
from agent_operator.agentstates import AgentStates

ONE, TWO = ObjectKey("team", "one"), ObjectKey("team", "two")
FINE = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}
BROKEN = {
    "phase": "Failed",
    "conditions": [
        {"type": "WorkspacePrepared", "status": "False", "reason": "NoWheel"},
        {"type": "Available", "status": "Unknown", "reason": "Progressing"},
    ],
}


def test_agents_are_counted_and_only_what_is_wrong_has_a_series_of_its_own() -> None:
    registry = CollectorRegistry()
    states = AgentStates(registry)
    states.note(ONE, FINE)
    states.note(TWO, BROKEN)

    def phase(name: str) -> float | None:
        return registry.get_sample_value("agentberth_agents", {"phase": name})

    assert {name: phase(name) for name in ("Running", "Failed", "Pending", "Succeeded")} == {
        "Running": 1,
        "Failed": 1,
        "Pending": 0,
        "Succeeded": 0,
    }
    untrue = [
        s for family in registry.collect() for s in family.samples if s.name == "agentberth_agent_condition_false"
    ]
    assert [s.labels for s in untrue] == [
        {"agent_namespace": "team", "agent": "two", "condition": "WorkspacePrepared", "reason": "NoWheel"}
    ]

    states.note(TWO, FINE)
    states.forget(ONE)
    states.forget(ONE)
    assert (phase("Running"), phase("Failed")) == (1, 0)
