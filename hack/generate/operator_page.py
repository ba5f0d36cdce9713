"""docs/reference/operator.md: settings, platform defaults and metrics, from the code that has them."""

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from hack.generate.marked import Blocks, fill
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from agent_kit.settings import describe
from agent_kube import Metrics
from agent_operator.settings import OperatorSettings
from agent_render import PlatformSettings

PAGE = Path("docs/reference/operator.md")


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """The page, with every generated part anew."""
    yield PAGE, fill(PAGE, (root / PAGE).read_text(encoding="utf-8"), BLOCKS)


def _settings() -> str:
    return describe(OperatorSettings).rstrip()


def _platform() -> str:
    defaults = PlatformSettings().model_dump(mode="json", by_alias=True)
    return f"```yaml\n{yaml.safe_dump(defaults, sort_keys=False, width=120)}```"


def _metrics() -> str:
    lines = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    for collector in _collectors(Metrics(CollectorRegistry())):
        (family,) = collector.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)  # noqa: SLF001 - there is no public name
        lines.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(lines)


def _collectors(families: object) -> Iterator[Any]:
    """Each metric of `families`, and of those that it is made of."""
    for value in vars(families).values():
        if isinstance(value, MetricWrapperBase):
            yield value
        else:
            yield from _collectors(value)


BLOCKS: Blocks = MappingProxyType({"settings": _settings, "platform": _platform, "metrics": _metrics})
