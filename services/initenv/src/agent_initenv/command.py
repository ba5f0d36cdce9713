"""The command line: what may be said, and what it means."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn, get_args

from agent_api.layout import CONFIG_INIT, INIT_KEY, TERMINATION_LOG, TMP, relocate
from agent_initenv.errors import SettingsError
from agent_initenv.run import Phase
from agent_initenv.sidecars import Sidecar, parse_sidecar

_EXAMPLES = """\
examples:
  agent-initenv                                            in a Pod: everything is where the operator mounts it
  agent-initenv --root .agentberth/my-agent                on a laptop: the Pod's volumes are below this folder
  agent-initenv --plan init.json --root /tmp/try --report /tmp/try/report.json
  agent-initenv --await toolproxy=http://127.0.0.1:9802/readyz --await memory=tcp://127.0.0.1:6379

exit codes:
  0 prepared   1 a step failed   2 the command line or the plan is wrong   130 SIGINT   143 SIGTERM
"""


@dataclass(frozen=True)
class Options:
    """The command line with its defaults filled in. `report` None: no report file."""

    plan: Path
    root: str
    report: Path | None
    cache: Path | None
    tmp: Path
    phase: Phase = "all"
    sidecars: tuple[Sidecar, ...] = ()
    """Sidecars that must be ready before the run ends well."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message[:1].upper()}{message[1:]}; see agent-initenv --help.")


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: the look-up costs milliseconds."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> NoReturn:
        sys.stdout.write(f"agent-initenv {_version()}\n")
        parser.exit()


def _version() -> str:
    """Of the image's own package, or of the command line's wheel, which carries this program."""
    try:
        return version("agent-initenv")
    except PackageNotFoundError:
        return version("agentberth")


def read_options(arguments: Sequence[str]) -> Options:
    """The options of a command line. Raises SettingsError; `--help` and `--version` exit with 0."""
    parsed = _parser().parse_args(arguments)
    root = str(Path(parsed.root).absolute())
    tmp = Path(relocate(TMP, root))
    return Options(
        plan=Path(parsed.plan or relocate(f"{CONFIG_INIT}/{INIT_KEY}", root)),
        root=root,
        report=_report(parsed.report),
        cache=Path(parsed.cache).absolute() if parsed.cache else None,
        tmp=tmp,
        phase=parsed.phase,
        sidecars=tuple(parse_sidecar(text) for text in parsed.awaited),
    )


def _report(given: str | None) -> Path | None:
    """Outside of a container there is no termination log, and none is made."""
    if given is not None:
        return Path(given)
    log = Path(TERMINATION_LOG)
    return log if log.exists() else None


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="agent-initenv",
        description="Prepare an agent's shared volume: files, code, packages, glue code, setup.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--plan", help=f"the plan (default: {CONFIG_INIT}/{INIT_KEY} below the root)")
    parser.add_argument("--root", default="/", help="folder that the Pod's mounted paths are below (default: /)")
    parser.add_argument("--report", help=f"file for the report (default: {TERMINATION_LOG} where it exists)")
    parser.add_argument(
        "--phase",
        choices=get_args(Phase),
        default="all",
        help="prepare: everything but setup commands; setup: these alone, where no Secrets are (default: all)",
    )
    parser.add_argument("--cache", help="folder for downloads, which is kept (default: one on the shared volume)")
    parser.add_argument(
        "--await",
        dest="awaited",
        metavar="NAME=ADDRESS",
        action="append",
        default=[],
        help="when all is prepared, wait until this sidecar is ready: http:// answers 200, tcp:// can be connected to",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    return parser
