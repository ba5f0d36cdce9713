"""`agentberth render`: what the operator would create for a manifest."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentberth.commands import add
from agentberth.errors import ManifestError
from agentberth.manifest import files_of, read
from agentberth.terminal import stderr
from agentberth.yamlout import dump

if TYPE_CHECKING:
    from agent_api.agenttype import AgentType
    from agentberth.commands import Commands

_EPILOG = """\
examples:
  agentberth render agent.yaml
  agentberth render agent.yaml --settings platform.yaml | kubectl diff -f -
  agentberth render agent.yaml --output json | jq '.items[].kind'
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(commands, "render", summary="print the manifests of an AgentType", epilog=_EPILOG, call=_call)
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="manifest, or folder of manifests")
    parser.add_argument("--namespace", help="namespace for manifests without one (default: default)")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="platform settings, YAML or JSON")
    parser.add_argument(
        "-o", "--output", choices=("yaml", "json"), default="yaml", help="default: yaml; json is one List"
    )


def _call(options: argparse.Namespace) -> int:
    from agent_render import RenderError, render  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.platform import platform_settings  # noqa: PLC0415 - likewise

    settings = platform_settings(options.settings)
    manifests: list[dict[str, Any]] = []
    for agent in _agents(options.paths):
        metadata = agent.metadata
        if options.namespace and not metadata.namespace:
            metadata = metadata.model_copy(update={"namespace": options.namespace})
        try:
            manifests += render(agent.model_copy(update={"metadata": metadata}), settings)
        except RenderError as error:
            raise ManifestError(f"{metadata.name}: {error}") from error
    print(_text(manifests, options.output), end="")  # noqa: T201 - the result
    return 0


def _text(manifests: list[dict[str, Any]], output: str) -> str:
    if output == "json":
        return f"{json.dumps({'apiVersion': 'v1', 'kind': 'List', 'items': manifests}, indent=2)}\n"
    return dump(manifests)


def _agents(paths: list[Path]) -> "list[AgentType]":
    found: list[AgentType] = []
    for document in (d for file in files_of(paths) for d in read(file) if d.is_agent_type):
        agent, findings = document.examine()
        for finding in findings:
            stderr().line(str(finding))
        if agent is None:
            raise ManifestError(f"{document.file}: is not valid", cure="correct the errors listed above")
        found.append(agent)
    if not found:
        raise ManifestError("there is no AgentType in the files given")
    return found
