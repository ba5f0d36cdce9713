import asyncio
import contextlib
from typing import Any

from agent_api.toolsconfig import PlannedTool, ToolsConfig, ToolsPolicy
from agent_toolproxy.call import Call, Json, ServedTool, define
from agent_toolproxy.errors import NotAllowed
from agent_toolproxy.tools.changes import Changes
from agent_toolproxy.tools.configuredtool import ConfiguredTool, UnavailableTool
from agent_toolproxy.tools.registry import Registry


class Ready(ConfiguredTool):
    """A tool that is there at once."""

    async def run(self) -> None:
        async def handler(call: Call, /) -> Json:
            return {"said": dict(call.arguments)}

        definition = define(self.name, "Say it again.", {"type": "object"})
        self.served_tools = (ServedTool(owner=self.name, kind="command", definition=definition, handler=handler),)
        self.set_state("ready")


class Maker:
    """Makes tools that are there at once, and one that cannot be had of a name in `denied`."""

    denied: tuple[str, ...] = ()

    def __call__(self, planned: PlannedTool, /) -> ConfiguredTool:
        if planned.name in self.denied:
            return UnavailableTool(planned, NotAllowed("the policy says no"), lambda: None)
        return Ready(planned, "command", lambda: None)


@contextlib.asynccontextmanager
async def running(registry: Registry) -> Any:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(registry.run())
        yield
        task.cancel()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_ready_tool_that_a_new_policy_forbids_is_not_ready_any_more() -> None:
    make_tool = Maker()
    registry = Registry(make_tool, Changes())
    tools = (PlannedTool(name="a", required=True), PlannedTool(name="b", required=True))
    async with running(registry):
        await registry.apply(ToolsConfig(agent="x", tools=tools))
        await settle()
        kept = registry.tool("a")
        assert [each.state for each in registry.tools()] == ["ready", "ready"]
        make_tool.denied = ("b",)
        await registry.apply(ToolsConfig(agent="x", tools=tools, policy=ToolsPolicy(deny=("b",))))
        await settle()
        assert [each.state for each in registry.tools()] == ["ready", "failed"]
        assert registry.tool("a") is kept
