"""One more metric of a sidecar is found wanting until it has its row on the page and its group."""

import re
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter

from agent_api.metrics import METRIC_GROUPS
from agent_toolproxy.metrics import ToolMetrics

PAGE = Path(__file__).parents[3] / "docs/reference/metrics.md"
PARTS = {"histogram": ("_bucket", "_sum", "_count")}


def rows(*sections: str) -> dict[str, str]:
    """The type of each metric in these sections of the page."""
    found: dict[str, str] = {}
    for section in sections:
        text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
        found |= dict(re.findall(r"^\| `([a-z_]+)` \| (\w+) \|", text, re.MULTILINE))
    return found


def ungrouped(metrics: Iterable[tuple[str, str]]) -> list[str]:
    """Series that an agent which names groups cannot keep."""
    patterns = [re.compile(pattern) for group in METRIC_GROUPS.values() for pattern in group]
    series = [f"{name}{part}" for name, kind in metrics for part in PARTS.get(kind, ("",))]
    return [name for name in series if not any(pattern.fullmatch(name) for pattern in patterns)]


def exported(registry: CollectorRegistry) -> dict[str, str]:
    """The type of each metric, by the name that the page has."""
    return {family.name + ("_total" if family.type == "counter" else ""): family.type for family in registry.collect()}


def test_every_metric_of_a_sidecar_is_in_a_group() -> None:
    assert ungrouped(rows("Model gateway", "Tool proxy").items()) == []


def test_a_metric_that_is_added_to_the_program_alone_is_missed_on_the_page_and_in_the_groups() -> None:
    registry = CollectorRegistry()
    ToolMetrics(registry)
    page = rows("Tool proxy")
    assert exported(registry).items() <= page.items()

    Counter("agentberth_toy", "Toys.", registry=registry)

    assert exported(registry).keys() - page.keys() == {"agentberth_toy_total"}
    assert ungrouped(exported(registry).items()) == ["agentberth_toy_total"]
