"""`agentberth validate`: every fault of every manifest, with file, line and field."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from agentberth.commands import add
from agentberth.errors import ManifestError
from agentberth.manifest import Finding, files_of, read
from agentberth.terminal import stderr, stdout

if TYPE_CHECKING:
    from agentberth.commands import Commands

_EPILOG = """\
Other kinds in the same files are passed over. Exit code 1 when any manifest has an error.

examples:
  agentberth validate agent.yaml
  agentberth validate examples/ deploy/agents/
  agentberth validate --output json agents/ | jq -r '.[].message'
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(commands, "validate", summary="check AgentType manifests", epilog=_EPILOG, call=_call)
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="manifest, or folder of manifests")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")


def _call(options: argparse.Namespace) -> int:
    findings: list[Finding] = []
    agents, unreadable = 0, []
    for file in files_of(options.paths):
        try:
            documents = [d for d in read(file) if d.is_agent_type or not isinstance(d.data, dict)]
        except ManifestError as error:
            unreadable.append(str(error))
            continue
        agents += len(documents)
        findings += [finding for document in documents for finding in document.examine()[1]]
    _show(findings, unreadable, options.output)
    errors = len(unreadable) + sum(f.problem.severity == "error" for f in findings)
    if options.output == "text":
        _summarise(agents, errors)
    return 1 if errors else 0


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


def _summarise(agents: int, errors: int) -> None:
    out = stderr()
    verdict = out.paint("no errors", "green") if not errors else out.paint(f"{errors} error{'s'[: errors > 1]}", "red")
    out.line(f"{agents} AgentType{'s'[: agents != 1]} checked: {verdict}")
