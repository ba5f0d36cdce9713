"""Parts of a valid spec that this version does not carry out: said aloud, never passed over in silence."""

from agent_api.agenttype import AgentType


def unserved(agent: AgentType) -> tuple[str, ...]:
    """The fields that are asked for and have no effect yet."""
    spec, monitoring = agent.spec, agent.spec.monitoring
    found = {
        "spec.monitoring.metrics": monitoring is not None and bool(monitoring.metrics),
    }
    return tuple(field for field, asked in found.items() if asked)
