"""What docker-compose.yml mounts: the configuration and the environment that the operator would render."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.problems import examine
from agent_render.objects.pod import pod_parts, pod_template
from agentberth.platform import platform_settings

FOLDER = Path("deploy/compose")
_MOUNTED = (
    (layout.INIT_KEY, layout.CONFIG_INIT),
    (layout.TOOLS_KEY, layout.CONFIG_TOOLS),
    (layout.GATEWAY_KEY, layout.CONFIG_GATEWAY),
)
_TOKENS = {layout.TOOLS_TOKEN_KEY: layout.CONFIG_TOOLS, layout.GATEWAY_TOKEN_KEY: layout.CONFIG_GATEWAY}
_NOTE = "# Rendered from agent.yaml by `make generate`: the environment that the operator gives this agent.\n"


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """A folder of its own for each program, so that it can be mounted whole and a change arrives; and agent.env."""
    agent, settings = read_agent(root), platform_settings(None)
    config = pod_parts(agent, settings).config
    for key, folder in _MOUNTED:
        yield FOLDER / "config" / Path(folder).name / key, f"{config[key]}\n"
    for key, folder in _TOKENS.items():
        yield FOLDER / "config" / Path(folder).name / layout.TOKEN_FILE, f"{_token(key)}\n"
    (container,) = template(root)["spec"]["containers"]
    yield FOLDER / "agent.env", _NOTE + "".join(f"{name}={value}\n" for name, value in _variables(container["env"]))


def _variables(entries: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The variables as compose takes them, which reads no ConfigMap and expands nothing in a file."""
    found: dict[str, str] = {}
    for entry in entries:
        value = entry["value"] if "value" in entry else _token(entry["valueFrom"]["configMapKeyRef"]["key"])
        for name, known in found.items():
            value = value.replace(f"$({name})", known)
        found[entry["name"]] = value
    yield from found.items()


def _token(key: str) -> str:
    """In a cluster and under `agentberth run` it is random; what is in a repository cannot be."""
    return f"compose-sample-{key}"


def template(root: Path) -> Mapping[str, Any]:
    """The Pod template of the sample agent."""
    return pod_template(read_agent(root), platform_settings(None))


def read_agent(root: Path) -> AgentType:
    """The sample agent, with its folder where compose mounts it.

    Raises SystemExit when it is not valid.
    """
    file = root / FOLDER / "agent.yaml"
    document = yaml.safe_load(file.read_text())
    document["spec"]["agent"]["code"]["source"]["path"] = layout.CONFIG_CODE
    verdict = examine(document)
    if verdict.agent is None:
        raise SystemExit(f"{file}: {verdict.problems}")
    return verdict.agent
