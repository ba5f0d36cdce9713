"""THREAT_MODEL.md: the tables of limits, from the models that set them."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import MappingProxyType

from hack.generate.bounds import bounds_of
from hack.generate.marked import Blocks, fill
from pydantic import BaseModel

from agent_api.gatewayconfig import GatewayLimits, Timeouts
from agent_api.initplan import InitLimits
from agent_api.toolsconfig import ToolLimits, ToolsPolicy
from agent_render.settings.network import Dns, Network

PAGE = Path("THREAT_MODEL.md")


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """The page, with every generated part anew."""
    yield PAGE, fill(PAGE, (root / PAGE).read_text(encoding="utf-8"), BLOCKS)


def _table(**models: type[BaseModel]) -> str:
    """One row for each setting with a default of its own; `models` by what they are called where they are set."""
    lines = ["| Setting | Default | Allowed | What it bounds |", "|---|---|---|---|"]
    for prefix, model in models.items():
        for name, node in model.model_json_schema(by_alias=True)["properties"].items():
            if "default" in node and "$ref" not in node:
                bounds, about = "; ".join(bounds_of(_closed(node))), node.get("description", "")
                lines.append(
                    f"| `{prefix.replace('_', '.')}.{name}` | {_shown(node['default'])} | {bounds} | {about} |"
                )
    return "\n".join(lines)


def _closed(node: dict[str, object]) -> dict[str, object]:
    """JSON Schema's exclusive minimum in the form of a CRD, which is what `bounds_of` reads."""
    low = node.get("exclusiveMinimum")
    return {**node, "minimum": low, "exclusiveMinimum": True} if low is not None else node


def _shown(value: object) -> str:
    if isinstance(value, dict):
        value = [f"{key}={each}" for key, each in value.items()]
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,}" if isinstance(value, int) else str(value)


BLOCKS: Blocks = MappingProxyType(
    {
        "network": partial(_table, network=Network, network_dns=Dns),
        "initenv": partial(_table, limits=InitLimits),
        "toolproxy": partial(_table, limits=ToolLimits, policy=ToolsPolicy),
        "llmgateway": partial(_table, limits=GatewayLimits, timeouts=Timeouts),
    }
)
