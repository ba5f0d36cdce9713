"""Where the answers of a run come from: keys of the files given, keys of the shell, or a mock."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agent_api.agenttype import AgentType, Provider
from agentberth.errors import ManifestError
from agentberth.local.objects import Objects
from agentberth.manifest import read

REPLY = "This is a mock: no model was asked. --mock-script FILE sets its answers."
SHELL_KEYS: Mapping[str, str] = MappingProxyType({"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"})
"""Variables that the providers' own clients read, by provider type."""


@dataclass(frozen=True)
class ModelChoice:
    """What the command line says of the models, and the shell's environment."""

    mocked: bool
    script: Path | None
    environment: Mapping[str, str]

    def with_mocks(self, agent: AgentType) -> AgentType:
        """`agent` as it is, or with a mock in the place of every model provider.

        Raises ManifestError when the script is none.
        """
        if self.script is not None:
            return mocked(agent, _read_script(self.script))
        return with_mock(agent) if self.mocked else agent


def with_mock(agent: AgentType) -> AgentType:
    """`agent` with providers that answer `REPLY` to everything."""
    return mocked(agent, {"replies": [{"text": REPLY}]})


def mocked(agent: AgentType, script: Mapping[str, Any]) -> AgentType:
    """`agent` with providers that answer by `script`, under the same names and models; mocks stay as they are."""
    llm = agent.spec.llm
    if llm is None:
        return agent
    providers = tuple(_mock(provider, script) for provider in llm.providers)
    spec = agent.spec.model_copy(update={"llm": llm.model_copy(update={"providers": providers})})
    return agent.model_copy(update={"spec": spec})


def _mock(provider: Provider, script: Mapping[str, Any]) -> Provider:
    if provider.type == "mock":
        return provider
    given = provider.config
    config = {"model": given.model or "mock", "models": given.models, **script}
    return Provider.model_validate({"name": provider.name, "type": "mock", "config": config})


def _read_script(file: Path) -> Mapping[str, Any]:
    """A mock's script: `replies`, as docs/reference/llmgateway.md describes them.

    Raises ManifestError.
    """
    from agent_llmgateway.errors import ConfigError  # noqa: PLC0415 - only for a script
    from agent_llmgateway.mock.script import parse_script  # noqa: PLC0415 - likewise

    documents = read(file)
    data = documents[0].data if len(documents) == 1 else None
    if not isinstance(data, dict) or data.keys() != {"replies"}:
        raise ManifestError(
            f"{file}: is not a script for the mock", cure="one document with the key replies, such as:\n"
            "  replies: [{match: {contains: tide}, text: High water is at six.}]"
        )  # fmt: skip
    try:
        parse_script(data, where=str(file))
    except ConfigError as error:
        raise ManifestError(str(error), cure="agentberth init makes an agent with a script to start from") from error
    return data


def with_keys(agent: AgentType, given: Objects, environment: Mapping[str, str]) -> tuple[Objects, tuple[str, ...]]:
    """`given` with the shell's keys for providers whose Secret is missing, and what to tell of it.

    A provider without any key is passed over at each request, so it is only told, as long as another one has a key.

    Raises ManifestError when no provider has one.
    """
    notices: list[str] = []
    without: list[tuple[Provider, str]] = []
    providers = agent.spec.llm.providers if agent.spec.llm else ()
    objects = given
    for provider in providers:
        fault = _fault_of_key(provider, objects)
        if not fault:
            continue
        variable = SHELL_KEYS.get(provider.type, "") if provider.config.base_url is None else ""
        key = environment.get(variable, "").strip()
        if key and provider.credentials_secret:
            objects = objects.with_secret(provider.credentials_secret, {"api-key": key})
            notices.append(f"the provider {provider.name} uses {variable} of this shell")
        else:
            without.append((provider, fault))
    if without and len(without) == len(providers):
        raise _no_key(*without[0], environment)
    for provider, fault in without:
        objects = objects.with_secret(provider.credentials_secret or "", {})
        notices.append(f"the provider {provider.name} has no key, so it is passed over: {fault}")
    return objects, tuple(notices)


def _fault_of_key(provider: Provider, objects: Objects) -> str:
    """Why the provider has no key; "" when it has one or needs none."""
    secret = provider.credentials_secret
    if not secret:
        return ""
    found = objects.data.get(("Secret", secret))
    if found and any(value.strip() for value in found.values()):
        return ""
    return f'the Secret "{secret}" {"is not in the files given" if found is None else "is empty"}'


def _no_key(provider: Provider, fault: str, environment: Mapping[str, str]) -> ManifestError:
    variable = SHELL_KEYS.get(provider.type, "")
    own = f"; or set {variable}" if variable and provider.config.base_url is None else ""
    if variable in environment and provider.config.base_url is not None:
        own = f" ({variable} of this shell is for the provider's own address, and config.baseUrl is another)"
    return ManifestError(
        f"the provider {provider.name} has no key: {fault}",
        cure=f"add a file with the Secret: agentberth run agent.yaml secrets.yaml{own}; "
        "or do without a model: --mock-llm",
    )
