"""The tool proxy: tools installed and served over MCP and REST."""

from collections.abc import Iterator

from pydantic import ValidationError

from agent_api import layout
from agent_api.agenttype import AgentType, CustomTool, Tools
from agent_api.toolsconfig import (
    CallRate,
    CallRule,
    PlannedTool,
    ToolDefinition,
    ToolsConfig,
    ToolsMemory,
    ToolsPolicy,
)
from agent_api.toolsources import TOOL_SOURCES, package_of
from agent_render.containers import memoryaccess, sidecar
from agent_render.endpoints import tool_networks
from agent_render.errors import UnsupportedError
from agent_render.identity import Manifest
from agent_render.parts.monitoring import keeps_content
from agent_render.parts.part import PodPart, empty_dir, mount, scratch, variable
from agent_render.parts.registryserver import settings_of, source_of
from agent_render.parts.toollimits import tool_limits
from agent_render.settings import PlatformSettings

_ADDRESS = f"http://127.0.0.1:{layout.TOOLPROXY_PORT}"
CODE_FORM = TOOL_SOURCES["code"].form
_CREDENTIALS = f"{layout.CREDENTIALS}/tools"


def part(agent: AgentType, settings: PlatformSettings) -> PodPart:
    """The sidecar, the tools volume, and where the agent finds both."""
    tools = agent.spec.tools
    if tools is None:
        return PodPart()
    keys = {tool.name: tool.credentials_secret for tool in tools.custom if tool.credentials_secret}
    volumes, mounts = sidecar.credentials(_CREDENTIALS, keys)
    volumes = tuple({**volume, "name": f"tool-{volume['name']}"} for volume in volumes)
    mounts = tuple({**entry, "name": f"tool-{entry['name']}"} for entry in mounts)
    memory_volumes, memory_mounts = memoryaccess.credentials(agent)
    index = (sidecar.secret_volume("tools-index", tools.index_secret),) if tools.index_secret else ()
    tmp_volume, _ = scratch(layout.TOOLPROXY, settings.tmp_size)
    return PodPart(
        init_containers=(_container(agent, settings, (*mounts, *memory_mounts, *_further_mounts(agent, tools))),),
        volumes=(
            sidecar.config_volume(
                agent,
                "tools-config",
                layout.TOOLS_KEY,
                token=layout.TOOLS_TOKEN_KEY,
                report_key=layout.TOOLS_REPORT_KEY,
            ),
            *volumes,
            *memory_volumes,
            *index,
            empty_dir("tools", settings.tools_size),
            tmp_volume,
        ),
        agent_mounts=(mount("tools", layout.TOOLS),),
        agent_env=(
            sidecar.token_variable(agent, "TOOL_PROXY_TOKEN", layout.TOOLS_TOKEN_KEY),
            variable("MCP_SERVER_URL", f"{_ADDRESS}{layout.DOOR}/$(TOOL_PROXY_TOKEN)/mcp"),
            variable("TOOL_PROXY_URL", f"{_ADDRESS}{layout.DOOR}/$(TOOL_PROXY_TOKEN)"),
        ),
        agent_path=(layout.TOOLS_BIN,),
        config={layout.TOOLS_KEY: tools_config(agent, tools, settings).model_dump_json(indent=2)},
    )


def _further_mounts(agent: AgentType, tools: Tools) -> tuple[Manifest, ...]:
    index = (mount("tools-index", layout.CONFIG_TOOLS_INDEX),) if tools.index_secret else ()
    return (*index, mount("shared", layout.SHARED)) if _runs_own_code(agent, tools) else index


def _runs_own_code(agent: AgentType, tools: Tools) -> bool:
    """Whether a tool is a program in the agent's code. Raises UnsupportedError where the agent has none."""
    own = [tool.name for tool in tools.custom if package_of(source_of(tool)).startswith("code:")]
    if own and agent.spec.agent.code is None:
        raise UnsupportedError(f"tools.custom {own[0]}: source {CODE_FORM} needs an agent of type code")
    return bool(own)


def _container(agent: AgentType, settings: PlatformSettings, credentials: tuple[Manifest, ...]) -> Manifest:
    return sidecar.container(
        agent,
        settings,
        name="toolproxy",
        image=settings.images.toolproxy,
        uid=layout.TOOLPROXY_UID,
        ops_port=layout.TOOLPROXY_OPS_PORT,
        mounts=(
            mount("tools-config", layout.CONFIG_TOOLS),
            *credentials,
            mount("tools", layout.TOOLS, read_only=False),
            mount("workspace", layout.WORKSPACE, read_only=False),
        ),
    )


def tools_config(agent: AgentType, tools: Tools, settings: PlatformSettings) -> ToolsConfig:
    """`tools.json`: each tool with the platform's catalogue entry for it, since a Pod cannot mount the catalogue."""
    policy, access = tools.policy, memoryaccess.Access.of(agent)
    return ToolsConfig(
        agent=agent.metadata.name,
        namespace=agent.metadata.namespace or "default",
        tools=tuple(_planned(tools, settings)),
        capture_content=keeps_content(agent),
        policy=ToolsPolicy(
            pinning=policy.pinning,
            require_checksum=policy.require_checksum,
            allow=policy.allow,
            deny=policy.deny,
            approved=dict(policy.approved),
            allowed_networks=tool_networks(agent, settings),
            blocked_networks=settings.network.blocked_cidrs,
            rules=tuple(CallRule.model_validate(rule.model_dump()) for rule in policy.call_rules),
            rates=tuple(CallRate.model_validate(rate.model_dump()) for rate in policy.rates),
            approval_wait_seconds=policy.approvals.wait_seconds,
            approval_expiry_seconds=policy.approvals.expire_seconds,
        ),
        memory=ToolsMemory(url=access.url, credentials=access.folder, prefix=access.prefix) if access else None,
        python_url=settings.python_index_url,
        npm_registry=settings.npm_registry,
        listing=tools.listing,
        index_folder=layout.CONFIG_TOOLS_INDEX if tools.index_secret else None,
        limits=tool_limits(agent, tools, settings),
    )


def _planned(tools: Tools, settings: PlatformSettings) -> Iterator[PlannedTool]:
    """Required first, then optional, then the custom tools that neither names: those are required."""
    custom = {tool.name: tool for tool in tools.custom}
    for name in dict.fromkeys((*tools.required, *tools.optional, *custom)):
        own = custom.get(name)
        yield PlannedTool(
            name=name,
            required=name not in tools.optional,
            catalogue=settings.catalogue.get(name),
            custom=_definition(own) if own else None,
            credentials=f"{_CREDENTIALS}/{name}" if own and own.credentials_secret else None,
        )


def _definition(tool: CustomTool) -> ToolDefinition:
    """The custom tool as a definition; its `config` holds the further fields of one by their names."""
    own = {"name": tool.name, "version": tool.version or "", "source": source_of(tool), "sha256": tool.sha256 or ""}
    try:
        return ToolDefinition.model_validate({**settings_of(tool), **own})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UnsupportedError(f"tools.custom {tool.name}: config.{place}: {first['msg']}") from error
