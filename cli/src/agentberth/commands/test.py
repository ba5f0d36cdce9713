"""`agentberth test`: agents held to what is expected of them, from their cassettes."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from agentberth.commands import add
from agentberth.terminal import Terminal, stdout

if TYPE_CHECKING:
    from agentberth.commands import Commands
    from agentberth.testing.verdict import Verdict

_EPILOG = """\
A test case is a file NAME.agenttest.yaml with its cassette NAME.cassette.jsonl beside it. Models and tools are replayed
from the cassette, without keys, cluster or cost. The page docs/how-to/test-agents.md lists all fields.
Exit code 0 if all cases pass, 1 if one fails.

examples:
  agentberth test examples/                      every case in a folder
  agentberth test agent.agenttest.yaml           one case
  agentberth test . --junit report.xml           for a CI server
  agentberth test . --record                     record the cassettes again with the real models and tools
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(commands, "test", summary="test agents from recorded answers", epilog=_EPILOG, call=_call)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="test case, or folder with test cases")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the result as JUnit XML")
    parser.add_argument("--record", action="store_true", help="record the cassettes again, then test from them")


def _call(options: argparse.Namespace) -> int:
    from agentberth.testing.case import find_cases  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.testing.junit import write_junit  # noqa: PLC0415 - likewise
    from agentberth.testing.running import run_case  # noqa: PLC0415 - likewise
    from agentberth.testing.verdict import judge  # noqa: PLC0415 - likewise

    out = stdout()
    verdicts: list[Verdict] = []
    for case in find_cases(options.paths):
        if options.record:
            run_case(case, record=True)
        verdicts.append(judge(case, run_case(case)))
        _show(verdicts[-1], out)
    if options.junit:
        write_junit(options.junit, verdicts)
    failed = sum(not verdict.passed for verdict in verdicts)
    total = f"{len(verdicts)} case{'s'[: len(verdicts) != 1]}"
    out.line(out.paint(f"{total}, {failed} failed" if failed else f"{total} passed", "red" if failed else "green"))
    return 1 if failed else 0


def _show(verdict: "Verdict", out: Terminal) -> None:
    word = out.paint("passed", "green") if verdict.passed else out.paint("FAILED", "red")
    out.line(f"{word} {verdict.case.file} ({verdict.result.seconds:.1f} s)")
    for problem in verdict.problems:
        first, *rest = problem.splitlines()
        out.line(f"  {first}")
        for line in rest:
            out.line(f"    {_painted(line, out)}")


def _painted(line: str, out: Terminal) -> str:
    mark = line.lstrip()[:1]
    return out.paint(line, "green" if mark == "+" else "red") if mark in ("+", "-") else line
