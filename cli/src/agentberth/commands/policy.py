"""`agentberth policy`: what the platform allows, as an admission policy for the cluster."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from agentberth.commands import add
from agentberth.errors import ManifestError
from agentberth.yamlout import dump

if TYPE_CHECKING:
    from agentberth.commands import Commands

_EPILOG = """\
examples:
  agentberth policy --settings platform.yaml
  agentberth policy --settings platform.yaml | kubectl apply -f -

With this policy, the API server refuses an AgentType that asks for something that `allowed` does not list, with the
same message as the operator. Run the command again when `allowed` changes.
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(
        commands, "policy", summary="print an admission policy for what the platform allows", epilog=_EPILOG, call=_call
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", required=True, help="platform settings, YAML or JSON, with `allowed`"
    )


def _call(options: argparse.Namespace) -> int:
    from agent_render.admission import admission_policy  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.platform import platform_settings  # noqa: PLC0415 - likewise

    policy = admission_policy(platform_settings(options.settings))
    if not policy:
        raise ManifestError(
            f"{options.settings}: restricts nothing, so no policy is needed",
            cure="set at least one list below `allowed`, such as `registries`",
        )
    print(dump(list(policy)), end="")  # noqa: T201 - the result
    return 0
