"""`agentberth install`: the operator and the definition of AgentType, applied to a cluster."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentberth.commands import add
from agentberth.errors import ManifestError, UsageError
from agentberth.terminal import stderr, stdout

if TYPE_CHECKING:
    from agentberth.cluster.bundle import Choices
    from agentberth.commands import Commands

_EPILOG = """\
Applies the manifests that --print shows by server-side apply, through kubectl, with your context and rights. A second
run changes nothing. To upgrade, run the command from the newer release. Exit code 0 if the operator is ready.

examples:
  agentberth check                        what the cluster lacks, before you install
  agentberth install
  agentberth install --dry-run            what would be created or changed, without changing it
  agentberth install --registry registry.example.com/agents --settings platform.yaml
  agentberth install --print > install.yaml
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(commands, "install", summary="install or upgrade Agentberth in a cluster", epilog=_EPILOG, call=_call)
    parser.add_argument("-n", "--namespace", help="namespace of the operator (default: agentberth-system)")
    parser.add_argument("--context", help="kubectl context (default: the current one)")
    parser.add_argument("--registry", default="", metavar="HOST/PATH", help="registry for all images of the platform")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="platform settings, merged over the release's")
    parser.add_argument(
        "--dry-run", action="store_true", help="ask the API server what would change, without changing it"
    )
    parser.add_argument("--print", action="store_true", dest="as_text", help="print the manifests; needs no cluster")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until the operator is ready")
    parser.add_argument(
        "--timeout", type=_seconds, default=300.0, metavar="SECONDS", help="longest time to wait (default: 300)"
    )


def _call(options: argparse.Namespace) -> int:
    from agentberth.cluster.bundle import installation  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.cluster.installation import apply, wait  # noqa: PLC0415 - likewise
    from agentberth.cluster.kubectl import Kubectl  # noqa: PLC0415 - likewise
    from agentberth.yamlout import dump  # noqa: PLC0415 - likewise

    choices = _choices(options)
    if options.as_text:
        print(dump(installation(choices)), end="")  # noqa: T201 - the result
        return 0
    kubectl = Kubectl.find(context=options.context, namespace=choices.namespace)
    for line in apply(kubectl, choices, dry_run=options.dry_run):
        stdout().line(line)
    if options.dry_run or options.no_wait:
        return 0
    rollout = wait(kubectl, stderr().line, timeout_s=options.timeout)
    stdout().line(f"Agentberth is installed in {choices.namespace}: {rollout.image}, {rollout.ready} replicas")
    return 0


def _choices(options: argparse.Namespace) -> "Choices":
    from agentberth.cluster.bundle import NAMESPACE, Choices  # noqa: PLC0415 - keeps `--help` quick

    platform = _platform(options.settings) if options.settings else {}
    _refuse_bad_registry(options.registry)
    return Choices(namespace=options.namespace or NAMESPACE, registry=options.registry, platform=platform)


def _platform(file: Path) -> dict[str, Any]:
    """The file's own keys, once all of them are valid."""
    from agentberth.manifest import read  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.platform import examine_settings  # noqa: PLC0415 - likewise

    _, findings = examine_settings(file)
    if findings:
        raise ManifestError("; ".join(map(str, findings)), cure=f"agentberth validate --settings {file}")
    documents = read(file)
    return dict(documents[0].data or {}) if documents else {}


def _refuse_bad_registry(registry: str) -> None:
    from agent_render import SettingsError, parse_settings  # noqa: PLC0415 - keeps `--help` quick

    try:
        parse_settings({"registry": registry})
    except SettingsError as error:
        raise UsageError(
            f"--registry {registry}: is not a host with an optional path", cure="such as registry.example.com/agents"
        ) from error


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError("must be a number of seconds above 0 and at most 86400")
    return value
