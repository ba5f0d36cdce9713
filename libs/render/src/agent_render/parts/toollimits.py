"""The bounds of an agent's tools: what its AgentType says, within what the tool proxy's container can hold."""

from typing import Any, Final

from pydantic import ValidationError

from agent_api import layout
from agent_api.agenttype import AgentType, Tools
from agent_api.agenttype.scalars import size_bytes
from agent_api.toolsconfig import ToolLimits
from agent_render.errors import UnsupportedError
from agent_render.parts.sizes import memory_limit_bytes
from agent_render.settings import PlatformSettings

_OWN_BYTES = 256 << 20
"""Kept for the proxy, what it holds of answers, and what unpacks a download."""
_LEAST_OF_A_TOOL_BYTES = 64 << 20
_USUAL_OF_A_TOOL_BYTES = 1 << 30
"""More only where the AgentType says so."""
_SIZES: Final = {
    "outputSize": "outputBytes",
    "downloadSize": "downloadBytes",
    "unpackedSize": "unpackedBytes",
    "memory": "memoryBytes",
}
"""Fields of `spec.tools.limits` that are sizes, and the settings of the proxy that they are."""


def tool_limits(agent: AgentType, tools: Tools, settings: PlatformSettings) -> ToolLimits:
    """The proxy's limits. Raises UnsupportedError for a limit that the container or the proxy cannot keep."""
    own = tools.limits.model_dump(exclude_none=True)
    given: dict[str, Any] = {_SIZES.get(name, name): size_bytes(v) if name in _SIZES else v for name, v in own.items()}
    most = _room_of_a_tool(agent, settings)
    if given.get("memoryBytes", 0) > most:
        raise UnsupportedError(
            f"tools.limits.memory: {tools.limits.memory} is more than the tool proxy's container can give a tool "
            f"({most >> 20}Mi): raise resources.toolproxy.limits.memory"
        )
    try:
        return ToolLimits.model_validate(
            {"timeoutSeconds": tools.policy.timeout_seconds, "memoryBytes": min(most, _USUAL_OF_A_TOOL_BYTES), **given}
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = next(name for name in own if _SIZES.get(name, name) == first["loc"][0])
        raise UnsupportedError(f"tools.limits.{field}: {first['msg']}") from error


def _room_of_a_tool(agent: AgentType, settings: PlatformSettings) -> int:
    """What a process may have: less than its container, which the kernel ends as a whole when it has too much."""
    limit = memory_limit_bytes(agent, settings, layout.TOOLPROXY)
    return max(_LEAST_OF_A_TOOL_BYTES, limit - _OWN_BYTES)
