"""`agentberth validate`: every fault of every manifest, with file, line and field."""

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agent_api import layout
from agent_api.problems import Problem
from agentberth.commands import add
from agentberth.errors import ManifestError, UsageError
from agentberth.manifest import Finding, files_of, read
from agentberth.terminal import stderr, stdout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_api.agenttype import AgentType
    from agent_render import PlatformSettings
    from agentberth.commands import Commands
    from agentberth.manifest import Document

_API_VERSION = f"{layout.GROUP}/{layout.VERSION}"
_EPILOG = """\
Other kinds in the same files are ignored. With --settings, the settings are checked too, and each agent is checked
against what they allow. Exit code 1 if there is an error, or if no FILE contains an AgentType.

examples:
  agentberth validate agent.yaml
  agentberth validate examples/ deploy/agents/
  agentberth validate --settings platform.yaml
  agentberth validate --settings platform.yaml agents/
  agentberth validate --output json agents/ | jq -r '.[].message'
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(commands, "validate", summary="check AgentType manifests", epilog=_EPILOG, call=_call)
    parser.add_argument("paths", nargs="*", type=Path, metavar="FILE", help="manifest, or folder of manifests")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="platform settings, as the operator reads them")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")


def _call(options: argparse.Namespace) -> int:
    if not options.paths and not options.settings:
        raise UsageError(
            "agentberth validate: the following arguments are required: FILE", cure="agentberth validate --help"
        )
    checked = _Checked()
    platform = checked.add_settings(options.settings) if options.settings else None
    for file in files_of(options.paths):
        checked.add_manifests(file, platform)
    if options.paths and not checked.agents and not checked.unreadable:
        named = ", ".join(map(str, options.paths))
        checked.unreadable.append(f"{named}: there is no AgentType to check (apiVersion {_API_VERSION})")
    _show(checked.findings, checked.unreadable, options.output)
    errors = len(checked.unreadable) + sum(f.problem.severity == "error" for f in checked.findings)
    if options.output == "text":
        _summarise(checked.subject(options), errors)
    return 1 if errors else 0


@dataclass
class _Checked:
    """What was found in all files so far."""

    findings: list[Finding] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    agents: int = 0

    def add_settings(self, file: Path) -> "PlatformSettings | None":
        """The settings, or None when they have faults."""
        from agentberth.platform import examine_settings, with_catalogue  # noqa: PLC0415 - keeps `--help` quick

        try:
            settings, found = examine_settings(file)
        except ManifestError as error:
            self.unreadable.append(str(error))
            return None
        self.findings += found
        return settings and with_catalogue(settings)

    def add_manifests(self, file: Path, platform: "PlatformSettings | None") -> None:
        """Every AgentType in `file`, held to what `platform` allows."""
        try:
            documents = [d for d in read(file) if d.is_agent_type or not isinstance(d.data, dict)]
        except ManifestError as error:
            self.unreadable.append(str(error))
            return
        self.agents += len(documents)
        for document in documents:
            agent, found = document.examine()
            self.findings += found
            if agent is not None:
                self.findings += _unsupported(document, agent, platform)

    def subject(self, options: argparse.Namespace) -> str:
        """What was checked, such as "platform.yaml and 2 AgentTypes"."""
        agents = f"{self.agents} AgentType{'s'[: self.agents != 1]}"
        if not options.settings:
            return agents
        return f"{options.settings} and {agents}" if options.paths else str(options.settings)


def _unsupported(document: "Document", agent: "AgentType", platform: "PlatformSettings | None") -> "Iterator[Finding]":
    """What `platform` does not take; without one, what only some platforms have."""
    from agent_render import RenderError, render  # noqa: PLC0415 - keeps `--help` quick

    if platform is None:
        yield from _undecided(document, agent)
        return
    try:
        render(agent, platform)
    except RenderError as error:
        yield document.find(Problem((), str(error)))


def _undecided(document: "Document", agent: "AgentType") -> "Iterator[Finding]":
    """What only some platforms have."""
    from agent_render import PlatformSettings, unpriced  # noqa: PLC0415 - keeps `--help` quick

    profile, plain = agent.spec.resources.profile, PlatformSettings()
    if profile not in plain.profiles:
        text = f"{profile} is not a profile that is built in: check with --settings that the platform has it"
        yield document.find(Problem(("spec", "resources", "profile"), text, severity="warning"))
    if missing := unpriced(agent, plain):
        text = f"NoPrice: no price is built in for {', '.join(missing)}: check with --settings that the platform has it"
        yield document.find(Problem(("spec", "llm", "budget"), text, severity="warning"))


def _show(findings: list[Finding], unreadable: list[str], output: str) -> None:
    if output == "json":
        rows = [_row(finding) for finding in findings] + [{"message": m, "severity": "error"} for m in unreadable]
        stdout().line(json.dumps(rows, indent=2))
        return
    for line in (*unreadable, *map(str, findings)):
        stdout().line(line)


def _row(finding: Finding) -> dict[str, str | int]:
    return {
        "file": str(finding.file),
        "line": finding.line,
        "column": finding.column,
        "field": finding.problem.field,
        "message": finding.problem.message,
        "severity": finding.problem.severity,
    }


def _summarise(subject: str, errors: int) -> None:
    out = stderr()
    verdict = out.paint("no errors", "green") if not errors else out.paint(f"{errors} error{'s'[: errors > 1]}", "red")
    out.line(f"{subject} checked: {verdict}")
