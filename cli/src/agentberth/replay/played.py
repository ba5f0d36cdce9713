"""An agent whose models or tools come from a cassette: without the keys that only the real ones need."""

from agent_api.agenttype import AgentType
from agentberth.local.models import with_mock
from agentberth.replay.deck import Tape


def without_played_credentials(agent: AgentType, tape: Tape) -> AgentType:
    """`agent` without the Secrets of what `tape` plays."""
    if tape.plays("models"):
        agent = with_mock(agent)
    tools = agent.spec.tools
    if tools is None or not tape.plays("tools"):
        return agent
    custom = tuple(each.model_copy(update={"credentials_secret": None}) for each in tools.custom)
    spec = agent.spec.model_copy(update={"tools": tools.model_copy(update={"custom": custom})})
    return agent.model_copy(update={"spec": spec})
