"""What the sidecars report, as conditions and parts of the status: of tools, models and memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from agent_api import layout
from agent_api.agenttype import AgentType, ConditionType, Reason
from agent_api.agenttype.observed.reported import MOST_TOOLS
from agent_api.gatewayreport import KEY_REFUSED, GatewayReport, ProviderState
from agent_api.memoryreport import MemoryReport
from agent_api.toolsreport import ToolReport, ToolsReport
from agent_operator.objects import PodObject
from agent_operator.status.appliedconfig import AppliedConfig, is_outdated
from agent_operator.status.conditionlist import Verdict
from agent_operator.status.memory import ServerState
from agent_operator.status.memorystatus import is_stopped, judge_memory, memory_status, of_sidecar
from agent_operator.status.reports import Answer, R, ReportReader, running_sidecar
from agent_render.objects.podkeys import PodKeys

Plain = dict[str, Any]

_MOST_DRIFTS = 32
_BROKEN = frozenset({"failed", "blocked"})
_LONGEST_CHARS = 2000


@dataclass(frozen=True)
class Sidecars:
    """What the sidecars of an agent say: conditions, and parts of the status by name (None removes one)."""

    verdicts: tuple[Verdict, ...] = ()
    status: Plain | None = None
    tools: ToolsReport | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing is awaited of them."""
        return all(v.status == "True" or v.reason == Reason.NOT_OBSERVED for v in self.verdicts)


async def read_reports(  # noqa: PLR0913 - what reports are judged by
    agent: AgentType,
    pods: Sequence[PodObject],
    reader: ReportReader,
    *,
    keys: PodKeys,
    wanted: AppliedConfig,
    server: ServerState | None = None,
    before: Mapping[str, Any] | None = None,
) -> Sidecars:
    """Reads the reports of the newest Pod; `pods` newest first, `server` the agent's own memory, `before` its status.

    What was not ready, or whose memory was not, is read as often as the report of a sidecar that is not.
    """
    before = before or {}
    hasten = agent.spec.memory is not None and not _was_ready(before, ConditionType.MEMORY_READY)
    probe = SidecarProbe(pods, reader, keys, hasten, before, wanted)
    tools, tools_report = await _collect_tools(agent, probe)
    models = await _collect_models(agent, probe)
    memory = _collect_memory(agent, pods, server, tools.memory or models.memory, before)
    status = {"toolStatus": tools.status, "llmStatus": models.status, "memoryStatus": memory.status}
    verdicts = (tools.verdict, models.verdict, memory.verdict)
    return Sidecars(tuple(verdict for verdict in verdicts if verdict is not None), status, tools_report)


@dataclass(frozen=True)
class SidecarProbe:
    """Asks the sidecars of the newest Pod that has them. `hasten`: as often as those that are not ready."""

    pods: Sequence[PodObject]
    reader: ReportReader
    keys: PodKeys
    hasten: bool
    before: Mapping[str, Any]
    wanted: AppliedConfig

    async def ask(self, container: str, port: int, model: type[R], condition: ConditionType) -> Answer[R]:
        """The report of one sidecar, or why there is none. It is read anew while `condition` is not True."""
        hasten = self.hasten or not _was_ready(self.before, condition)
        for pod in self.pods:
            state = running_sidecar(pod, container)
            if state is not None:
                signer = self.keys.signer(container, pod.metadata.uid)
                return await self.reader.read(pod, port, model, signer=signer, ready=state.ready and not hasten)
        return Answer(error="the sidecar does not run yet")


@dataclass(frozen=True)
class _Collected:
    """What one part of the Pod adds to the status; nothing when the agent does not have that part."""

    verdict: Verdict | None = None
    status: Plain | None = None
    memory: MemoryReport | None = None
    """What the sidecar says of the memory that it uses."""


async def _collect_tools(agent: AgentType, probe: SidecarProbe) -> tuple[_Collected, ToolsReport | None]:
    spec = agent.spec.tools
    if spec is None:
        return _Collected(), None
    answer = await probe.ask(layout.TOOLPROXY, layout.TOOLPROXY_OPS_PORT, ToolsReport, ConditionType.TOOLS_READY)
    names = {*spec.required, *spec.optional, *(tool.name for tool in spec.custom)}
    memory = answer.report.memory if answer.report else None
    verdict = judge_tools(answer, probe.wanted.tools)
    return _Collected(verdict, tool_status(answer, names), memory), answer.report


async def _collect_models(agent: AgentType, probe: SidecarProbe) -> _Collected:
    spec = agent.spec.llm
    if spec is None:
        return _Collected()
    answer = await probe.ask(layout.LLMGATEWAY, layout.LLMGATEWAY_OPS_PORT, GatewayReport, ConditionType.GATEWAY_READY)
    status = llm_status(answer, {provider.name for provider in spec.providers})
    verdict = judge_gateway(answer, probe.wanted.gateway)
    return _Collected(verdict, status, answer.report.memory if answer.report else None)


def _collect_memory(
    agent: AgentType,
    pods: Sequence[PodObject],
    server: ServerState | None,
    report: MemoryReport | None,
    before: Mapping[str, Any],
) -> _Collected:
    memory = agent.spec.memory
    if memory is None:
        return _Collected()
    if memory.type == "inmemory":
        server = of_sidecar(pods)
    if is_stopped(agent):
        verdict = Verdict(ConditionType.MEMORY_READY, "Unknown", Reason.SUSPENDED, "stopped with the agent")
    else:
        verdict = judge_memory(memory, server, report)
    return _Collected(verdict, memory_status(agent, server, report, before.get("memoryStatus")))


def _was_ready(before: Mapping[str, Any], kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in before.get("conditions", ()))


def _unheard(kind: ConditionType, answer: Answer[Any]) -> Verdict:
    """Without a report: for now, or because somebody else answers."""
    if answer.unsigned:
        return Verdict(kind, "False", Reason.UNSIGNED_REPORT, answer.error)
    if answer.too_large:
        return Verdict(kind, "False", Reason.REPORT_TOO_LARGE, answer.error)
    return Verdict(kind, "Unknown", Reason.PROGRESSING, answer.error)


def _unused(kind: ConditionType, report: ToolsReport | GatewayReport, wanted: str, who: str) -> Verdict | None:
    """Why a sidecar goes by an earlier configuration; None when it goes by the one with the digest `wanted`."""
    if report.config_error:
        return Verdict(kind, "False", Reason.CONFIG_REFUSED, report.config_error)
    if is_outdated(report.config_hash, wanted):
        return Verdict(kind, "False", Reason.PROGRESSING, f"the {who} does not use its newest configuration yet")
    return None


def judge_tools(answer: Answer[ToolsReport], wanted: str = "") -> Verdict:
    """`ToolsReady`: every required tool is ready; what is merely degraded is named. `wanted` is a digest."""
    report = answer.report
    if report is None:
        return _unheard(ConditionType.TOOLS_READY, answer)
    if unused := _unused(ConditionType.TOOLS_READY, report, wanted, "tool proxy"):
        return unused
    broken = [tool for tool in report.tools if tool.state in _BROKEN]
    required = [tool for tool in broken if tool.required]
    if required:
        reason = Reason.TOOL_BLOCKED if required[0].state == "blocked" else Reason.TOOL_FAILED
        return Verdict(ConditionType.TOOLS_READY, "False", reason, _causes(required))
    if not report.ready:
        waiting = [tool for tool in report.tools if tool.required and tool.state != "ready"]
        text = f"preparing {', '.join(map(_describe_progress, waiting))}" if waiting else "the tools are being listed"
        return Verdict(ConditionType.TOOLS_READY, "False", Reason.PROGRESSING, text)
    count = sum(tool.state == "ready" for tool in report.tools)
    degraded = f"; degraded: {_causes(broken)}" if broken else ""
    return Verdict(ConditionType.TOOLS_READY, "True", Reason.READY, f"{count} of {len(report.tools)} ready{degraded}")


def judge_gateway(answer: Answer[GatewayReport], wanted: str = "") -> Verdict:
    """`GatewayReady`: the `wanted` configuration is in use, and a provider has a key that it has not refused."""
    report = answer.report
    if report is None:
        return _unheard(ConditionType.GATEWAY_READY, answer)
    if unused := _unused(ConditionType.GATEWAY_READY, report, wanted, "gateway"):
        return unused
    if not report.ready and (not report.providers or any(provider.usable for provider in report.providers)):
        return Verdict(ConditionType.GATEWAY_READY, "False", Reason.PROGRESSING, "the gateway is starting or stopping")
    if not report.ready:
        text = "no provider can be used: each needs a key in its Secret, in a field called api-key"
        return Verdict(ConditionType.GATEWAY_READY, "False", Reason.NO_PROVIDER, text)
    usable = [provider for provider in report.providers if provider.usable]
    if usable and all(map(_fails, usable)):
        causes = "; ".join(f"{p.name}: {p.last_error or 'not tried for now'}" for p in usable)
        return Verdict(ConditionType.GATEWAY_READY, "False", Reason.PROVIDERS_FAILING, f"no provider answers: {causes}")
    open_ones = [p.name for p in report.providers if p.routes and all(r.breaker == "open" for r in p.routes)]
    rest = f"; not tried for now: {', '.join(open_ones)}" if open_ones else ""
    unfit = "".join(_describe_unfit(provider) for provider in report.providers if provider.not_carried)
    text = f"{len(report.providers)} providers{rest}{unfit}"[:_LONGEST_CHARS]
    return Verdict(ConditionType.GATEWAY_READY, "True", Reason.READY, text)


def _describe_unfit(provider: ProviderState) -> str:
    """Of a backup that is of no use for some requests, told before it is needed."""
    share = f"{provider.not_carried} of {provider.rehearsed} sampled requests"
    return f"; {provider.name} could not have answered {share}: {provider.not_carried_why}"


def _fails(provider: ProviderState) -> bool:
    """Whether nothing can be had of a provider: every key of it was refused, or it is left alone after failures."""
    refused = provider.last_error.startswith(f"{KEY_REFUSED}:") and all(r.consecutive_failures for r in provider.routes)
    return bool(provider.routes) and (refused or all(route.breaker == "open" for route in provider.routes))


def tool_status(answer: Answer[ToolsReport], names: Collection[str]) -> Plain | None:
    """`status.toolStatus`: each tool's state by name; only of `names`, whatever else a report claims.

    Where there are too many, those that are not in order stay.
    """
    if answer.report is None:
        return None
    own = {tool.name: tool for tool in answer.report.tools if tool.name in names}
    drifted = (tool for tool in answer.report.tools if tool.state == "blocked" and _owner(tool.name) in names)
    shown = {**own, **{tool.name: tool for tool in islice(drifted, _MOST_DRIFTS)}}
    first = sorted(shown.values(), key=lambda tool: tool.state not in _BROKEN)
    return {tool.name: _filled(tool) for tool in first[:MOST_TOOLS]}


def llm_status(answer: Answer[GatewayReport], names: Collection[str]) -> Plain | None:
    """`status.llmStatus`: each provider's state by name, and which one answers; only of `names`."""
    report = answer.report
    if report is None:
        return None
    known = [provider for provider in report.providers if provider.name in names]
    answering = next((provider.name for provider in known if provider.answering), "")
    return {"answering": answering, "providers": {provider.name: _provider(provider) for provider in known}}


def _provider(provider: ProviderState) -> Plain:
    worst = next((r.breaker for r in provider.routes if r.breaker != "closed"), "closed")
    return {
        "breaker": worst,
        "keys": provider.keys,
        "requests": provider.requests,
        "failures": provider.failures,
        "inputTokens": provider.input_tokens,
        "outputTokens": provider.output_tokens,
        **({"lastError": provider.last_error, "lastErrorAt": provider.last_error_at} if provider.last_error else {}),
    }


def _filled(tool: ToolReport) -> Plain:
    plain = tool.model_dump(exclude={"name", "required", "definition_hash"})
    blocked = {"definitionHash": tool.definition_hash} if tool.state == "blocked" and tool.definition_hash else {}
    bounded = {key: value[:_LONGEST_CHARS] for key, value in plain.items() if value}
    return {"required": tool.required, **bounded, **blocked}


def _describe_progress(tool: ToolReport) -> str:
    return f"{tool.name} ({tool.progress[:_LONGEST_CHARS]})" if tool.progress else tool.name


def _owner(exported: str) -> str:
    """The tool of the spec that `server__tool` is of."""
    return exported.partition("__")[0]


def _causes(tools: Sequence[ToolReport]) -> str:
    return "; ".join(f"{tool.name}: {tool.error or tool.state}" for tool in tools)
