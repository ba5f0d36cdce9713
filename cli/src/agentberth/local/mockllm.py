"""Models without keys: `--mock-llm` puts a mock in the place of every provider, and says so when a key is missing."""

from agent_api.agenttype import AgentType, Provider
from agentberth.errors import ManifestError
from agentberth.local.objects import Objects

REPLY = "This is a mock: no model was asked."


def mocked(agent: AgentType) -> AgentType:
    """`agent` with providers that answer `REPLY`, under the same names and models; mocks stay as they are."""
    llm = agent.spec.llm
    if llm is None:
        return agent
    providers = tuple(_mock(provider) for provider in llm.providers)
    spec = agent.spec.model_copy(update={"llm": llm.model_copy(update={"providers": providers})})
    return agent.model_copy(update={"spec": spec})


def _mock(provider: Provider) -> Provider:
    if provider.type == "mock":
        return provider
    given = provider.config
    config = {"model": given.model or "mock", "models": given.models, "replies": [{"text": REPLY}]}
    return Provider.model_validate({"name": provider.name, "type": "mock", "config": config})


def require_keys(agent: AgentType, objects: Objects) -> None:
    """Raises ManifestError for the first provider whose Secret is not among `objects`, or holds nothing."""
    for provider in agent.spec.llm.providers if agent.spec.llm else ():
        secret = provider.credentials_secret
        found = objects.data.get(("Secret", secret)) if secret else None
        if not secret or (found and any(value.strip() for value in found.values())):
            continue
        fault = "is not in the files given" if found is None else "is empty"
        raise ManifestError(
            f'the provider {provider.name} has no key: the Secret "{secret}" {fault}',
            cure="add a file with the Secret: agentberth run agent.yaml secrets.yaml; "
            "or do without a model: --mock-llm",
        )
