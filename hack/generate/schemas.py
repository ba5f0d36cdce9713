"""JSON Schema of each document that crosses a boundary, for programs in any language."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel

from agent_api.agenttype import AgentType
from agent_api.calls import CallsReport
from agent_api.cassette import CassetteHeader, Recording
from agent_api.gatewayconfig import GatewayConfig
from agent_api.gatewayreport import GatewayReport
from agent_api.initplan import InitPlan
from agent_api.initreport import InitReport
from agent_api.toolsconfig import ToolsConfig
from agent_api.toolsreport import ToolsReport
from agent_render import PlatformSettings

FOLDER = Path("docs/reference/schemas")
DIALECT = "https://json-schema.org/draft/2020-12/schema"

MODELS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "agenttype": AgentType,
        "init-plan": InitPlan,
        "init-report": InitReport,
        "tools-config": ToolsConfig,
        "tools-report": ToolsReport,
        "gateway-config": GatewayConfig,
        "gateway-report": GatewayReport,
        "calls-report": CallsReport,
        "cassette-header": CassetteHeader,
        "cassette-recording": Recording,
        "platform-settings": PlatformSettings,
    }
)


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """One file per document."""
    del root
    for name, model in MODELS.items():
        schema = {"$schema": DIALECT, **model.model_json_schema(by_alias=True, mode="validation")}
        yield FOLDER / f"{name}.json", f"{json.dumps(schema, indent=2, ensure_ascii=False)}\n"
