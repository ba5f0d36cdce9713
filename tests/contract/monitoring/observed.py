"""What the tree observes: alerts, dashboards, and the metrics that an expression names."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
COMPONENT = ROOT / "deploy" / "components" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
PAGE = ROOT / "docs" / "reference" / "metrics.md"
DASHBOARDS = sorted((COMPONENT / "dashboards").glob("*.json"))

Document = dict[str, Any]
_NOT_METRICS = re.compile(
    r'"(?:[^"\\]|\\.)*"'  # values of labels
    r"|\{[^}]*\}"  # matchers
    r"|\[[^\]]*\]"  # ranges
    r"|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"
)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\w)(?!\s*\()")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring"})


def alerts() -> list[Document]:
    """Every alerting rule."""
    document = yaml.safe_load((COMPONENT / "rules.yaml").read_text())
    return [rule for group in document["spec"]["groups"] for rule in group["rules"]]


def queries(dashboard: Path) -> Iterator[str]:
    """Every PromQL expression of a dashboard, its variables given a value."""
    document = json.loads(dashboard.read_text())
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "5m").replace("$namespace", ".+").replace("$agent", ".+")


def metrics_in(expression: str) -> set[str]:
    """The names of metrics in a PromQL expression."""
    return set(_NAME.findall(_NOT_METRICS.sub(" ", expression))) - _WORDS


def names_on_page() -> set[str]:
    """The metrics that docs/reference/metrics.md has, as their tables name them."""
    return set(re.findall(r"^\| `([a-z_]+)` \|", PAGE.read_text(), re.MULTILINE)) - set(groups_on_page())


def groups_on_page() -> list[str]:
    """The groups of `spec.monitoring.metrics` on that page."""
    _, _, section = PAGE.read_text().partition("## Groups")
    return re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)


def promtool(*arguments: str | Path, folder: Path) -> str:
    """Its output. Fails the test when it says no."""
    program = shutil.which("promtool") or ROOT / ".tools" / "bin" / "promtool"
    assert Path(program).exists(), "promtool is missing: run hack/bootstrap programs"
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


@cache
def built(tool: str) -> Path:
    """A program of hack/gotools, built if it is not in the cache."""
    command = [str(ROOT / "hack" / "gotools" / "build"), tool]
    return Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


def write_rules(folder: Path) -> Path:
    """The alerts as Prometheus reads them, without Kubernetes around them."""
    document = yaml.safe_load((COMPONENT / "rules.yaml").read_text())
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump(document["spec"]))
    return file
