"""How the agents are, for Prometheus: how many are in each phase, and what is false of which.

An agent of which all is true has no series of its own: thousands of them cost one number each.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent_api.agenttype import Phase
from agent_kube import ObjectKey

PHASES: tuple[str, ...] = get_args(Phase)


@dataclass(frozen=True, slots=True)
class _State:
    phase: str
    untrue: tuple[tuple[str, str], ...]


class AgentStates(Collector):
    """The states that this instance has written. A standby has written none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._states: dict[ObjectKey, _State] = {}
        registry.register(self)

    def note(self, key: ObjectKey, status: Mapping[str, Any]) -> None:
        """The status of an agent, as it is written."""
        untrue = tuple((c["type"], c["reason"]) for c in status["conditions"] if c["status"] == "False")
        self._states[key] = _State(status["phase"], untrue)

    def forget(self, key: ObjectKey) -> None:
        """The agent is gone."""
        self._states.pop(key, None)

    def collect(self) -> Iterator[Metric]:
        """Two gauges. Prometheus reads them in a thread: what is iterated is a copy."""
        states = list(self._states.items())
        yield _phases(state.phase for _, state in states)
        untrue = GaugeMetricFamily(
            "agentberth_agent_condition_false",
            "1 for each condition of an agent that is False, by its reason",
            labels=("agent_namespace", "agent", "condition", "reason"),
        )
        for key, state in states:
            for condition, reason in state.untrue:
                untrue.add_metric((key.namespace, key.name, condition, reason), 1)
        yield untrue


def _phases(found: Iterable[str]) -> Metric:
    counts = Counter(found)
    family = GaugeMetricFamily("agentberth_agents", "Agents by phase", labels=("phase",))
    for phase in PHASES:
        family.add_metric((phase,), counts[phase])
    return family
