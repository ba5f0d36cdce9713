"""Fails on a package of which the unit tests cover less than its floor: after `coverage combine`, by `./run-tests.sh`.

A floor for each instead of one for all: else a package that nobody tests hides behind its neighbours. The floors of
the services and of the CLI are lower, because their contract tests run them as processes, which are not measured.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FLOORS_PERCENT = {
    "agent_base": 94,
    "agent_api": 96,
    "agent_render": 97,
    "agent_kit": 96,
    "agent_kube": 96,
    "agent_initenv": 56,
    "agent_toolproxy": 52,
    "agent_llmgateway": 77,
    "agent_operator": 74,
    "agentberth": 70,
    "pytest_agentberth": 93,
}
"""Of statements and branches together."""


def shares(report: dict[str, Any]) -> dict[str, float]:
    """The covered share of each package in percent, out of a JSON report of `coverage`."""
    covered: Counter[str] = Counter()
    all_of: Counter[str] = Counter()
    for name, file in report["files"].items():
        package = next(part for part in Path(name).parts if part in FLOORS_PERCENT)
        summary = file["summary"]
        covered[package] += summary["covered_lines"] + summary["covered_branches"]
        all_of[package] += summary["num_statements"] + summary["num_branches"]
    return {package: 100 * covered[package] / max(1, all_of[package]) for package in FLOORS_PERCENT}


def main() -> int:
    """Prints what is below its floor; the exit code."""
    command = [sys.executable, "-m", "coverage", "json", "-q", "-o", "-"]
    measured = shares(json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout))
    below = {package: share for package, share in measured.items() if share < FLOORS_PERCENT[package]}
    for package, share in sorted(measured.items()):
        print(f"{package:20} {share:5.1f} % covered, floor {FLOORS_PERCENT[package]} %")
    for package in sorted(below):
        print(f"error: the unit tests cover less of {package} than its floor", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
