"""Parts of a valid spec that this version does not carry out: said aloud, never passed over in silence."""

from agent_api.agenttype import AgentType


def unserved(agent: AgentType) -> tuple[str, ...]:
    """The fields that are asked for and have no effect yet."""
    spec = agent.spec
    policy = spec.security.network_policy
    found = {
        "spec.memory": spec.memory is not None,
        "spec.security.networkPolicy": policy is not None and policy.enabled,
    }
    return tuple(field for field, asked in found.items() if asked)
