"""What the operator and the kubelet are told."""

from itertools import islice
from typing import Final, Protocol

from agent_api.toolsconfig import configuration_digest
from agent_api.toolsreport import Isolation, ToolReport, ToolsReport
from agent_kit.memorywatch import MemoryWatch
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.process import landlock, syscallfilter
from agent_toolproxy.rules.approvals import Approvals
from agent_toolproxy.tools.configuredtool import ConfiguredTool
from agent_toolproxy.tools.pinning import Pins, hash_definition
from agent_toolproxy.tools.registry import Registry
from agent_toolproxy.tools.toolbox import Toolbox

_MOST_SET_ASIDE: Final = 100
"""Of one server, in the report; the log has all."""
_MOST_NOT_SERVED: Final = 5
_LONGEST_CHARS: Final = 1000


class ConfigSource(Protocol):
    """The watched tools.json."""

    @property
    def error(self) -> Exception | None:
        """Why the newest content is not in use."""


class Reporter:
    """Sums up the registry, the toolbox and the memory."""

    def __init__(  # noqa: PLR0913 - what a report is made of
        self,
        *,
        current: CurrentConfig,
        registry: Registry,
        toolbox: Toolbox,
        config: ConfigSource,
        memory: MemoryWatch,
        pins: Pins,
        approvals: Approvals,
    ) -> None:
        self._approvals = approvals
        self._pins = pins
        self._current = current
        self._registry = registry
        self._toolbox = toolbox
        self._config = config
        self._memory = memory

    def report(self) -> ToolsReport:
        taken_up = self._current.taken_up
        return ToolsReport(
            agent=self._current.value.agent,
            ready=self.check() is None,
            config_hash=configuration_digest(taken_up) if taken_up else "",
            config_error=str(self._config.error or ""),
            tools=(*self._tools(), *self._drifts(), *self._set_aside()),
            memory=self._memory.report,
            walls=landlock.describe(),
            isolation=_isolation(),
            lock=self._pins.lock.bounded(),
            approvals=self._approvals.requests(),
        )

    def check(self) -> str | None:
        """A readiness check: what required tools are not ready."""
        if not self._registry.configured:
            return "tools.json has not been read yet"
        missing = [each for each in self._registry.tools() if each.planned.required and each.state != "ready"]
        if missing:
            return "; ".join(_describe(each) for each in missing)
        return None if self._toolbox.settled else "the list of tools is being made"

    def _tools(self) -> list[ToolReport]:
        return [self._complete(tool) for tool in self._registry.tools()]

    def _complete(self, tool: ConfiguredTool) -> ToolReport:
        served = self._toolbox.served.get(tool.name)
        reasons = [f"{name}: {reason}" for name, reason in islice(tool.set_aside.items(), _MOST_NOT_SERVED)]
        reasons += self._toolbox.collisions.get(tool.name, [])[:_MOST_NOT_SERVED]
        own = {"definition_hash": hash_definition(served.definition)} if served and served.owner == tool.name else {}
        return tool.report().model_copy(update={**own, "not_served": "; ".join(reasons)[:_LONGEST_CHARS]})

    def _is_required(self, exported: str) -> bool:
        server = self._registry.tool(exported.partition("__")[0])
        return server is not None and server.planned.required

    def _set_aside(self) -> list[ToolReport]:
        return [
            ToolReport(name=name, required=False, state="failed", kind="mcp", error=f"not served: {reason}")
            for tool in self._registry.tools()
            for name, reason in islice(tool.set_aside.items(), _MOST_SET_ASIDE)
        ]

    def _drifts(self) -> list[ToolReport]:
        return [
            ToolReport(
                name=name,
                required=self._is_required(name),
                state="blocked",
                kind="mcp",
                definition_hash=drift.seen.hash,
                error=drift.describe(),
                diff=drift.diff(),
            )
            for name, drift in sorted(self._toolbox.drifts.items())
        ]


def _isolation() -> Isolation:
    version = landlock.kernel_version()
    return Isolation(
        landlock=version,
        files=version >= landlock.LEAST_VERSION,
        signals=version >= landlock.SCOPED_FROM,
        system_calls=syscallfilter.is_available(),
    )


def _describe(tool: ConfiguredTool) -> str:
    return f"{tool.name} is {tool.state}" + "".join(f": {each}" for each in (tool.error, tool.progress) if each)
