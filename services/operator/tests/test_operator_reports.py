"""What sidecars say, read over HTTP from servers that answer in their own ways, and what is made of it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from services.operator.tests.operator_objects import pod, state

from agent_api.agenttype import ConditionType, Reason
from agent_api.agenttype.observed.reported import MemoryStatus, ToolStatus
from agent_api.gatewayreport import GatewayReport, ProviderState, RouteState
from agent_api.memoryreport import MemoryReport
from agent_api.signing import NONCE_HEADER, SIGNATURE_HEADER, Signer
from agent_api.toolsconfig import ApprovalDecision, PlannedTool, ToolsConfig, configuration_digest
from agent_api.toolslock import PinnedDefinition, ToolsLock
from agent_api.toolsreport import ToolReport, ToolsReport, ToolState
from agent_operator.status.appliedconfig import AppliedConfig
from agent_operator.status.conditionlist import Verdict
from agent_operator.status.reports import REMEMBERED_BYTES, REPORT_BYTES, Answer, ReportReader
from agent_operator.status.sidecars import SidecarProbe, judge_gateway, judge_tools, tool_status
from agent_render.objects.podkeys import PodKeys

SIGNER = Signer("k" * 64, "uid-pod", "toolproxy")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REPORT = ToolsReport(
    agent="subject",
    ready=True,
    tools=tuple(ToolReport(name=f"tool{number}", required=True, state="ready", kind="command") for number in range(99)),
)


def sign(request: web.Request, body: bytes, signer: Signer = SIGNER) -> dict[str, str]:
    """The header of a sidecar's answer."""
    return {SIGNATURE_HEADER: signer.sign("report", request.headers[NONCE_HEADER], body)}


async def in_pieces(request: web.Request) -> web.StreamResponse:
    """The report as a network may bring it."""
    text = REPORT.model_dump_json(by_alias=True).encode()
    answer = web.StreamResponse(headers=sign(request, text))
    await answer.prepare(request)
    for start in range(0, len(text), 1000):
        await answer.write(text[start : start + 1000])
        await asyncio.sleep(0)
    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    """More than any report."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(REPORT_BYTES // 65536 + 1):
        await answer.write(b" " * 65536)
    return answer


async def refused(_: web.Request) -> web.Response:
    return web.Response(status=503)


async def nonsense(request: web.Request) -> web.Response:
    return web.Response(text="<html>", headers=sign(request, b"<html>"))


BODY = REPORT.model_dump_json(by_alias=True).encode()


async def unsigned(_: web.Request) -> web.Response:
    return web.Response(body=BODY)


async def of_another_pod(request: web.Request) -> web.Response:
    """As an agent gets it from the sidecar of another replica."""
    return web.Response(body=BODY, headers=sign(request, BODY, Signer(SIGNER.key, "uid-other", SIGNER.sidecar)))


async def of_the_other_sidecar(request: web.Request) -> web.Response:
    return web.Response(body=BODY, headers=sign(request, BODY, Signer(SIGNER.key, SIGNER.pod_uid, "llmgateway")))


async def of_before(_: web.Request) -> web.Response:
    """As an agent got it when it asked the sidecar itself."""
    return web.Response(body=BODY, headers={SIGNATURE_HEADER: SIGNER.sign("report", "n" * 22, BODY)})


async def changed(request: web.Request) -> web.Response:
    return web.Response(body=BODY.replace(b"true", b"false"), headers=sign(request, BODY))


@asynccontextmanager
async def sidecar(handler: Handler) -> AsyncIterator[int]:
    """The port of a server with one report."""
    app = web.Application()
    app.router.add_get("/report", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def read(port: int) -> Answer[ToolsReport]:
    async with ReportReader(timeout_s=20) as reader:
        return await reader.read(pod(podIP="127.0.0.1"), port, ToolsReport, signer=SIGNER, ready=True)


async def test_a_report_is_whole_however_many_pieces_it_comes_in() -> None:
    async with sidecar(in_pieces) as port:
        assert await read(port) == Answer(REPORT)


@pytest.mark.parametrize(
    "handler, error",
    [
        (endless, "the report is larger than 512 KiB"),
        (refused, "the report is refused with status 503"),
        (nonsense, "the report cannot be understood"),
    ],
)
async def test_what_is_no_report_is_named(handler: Handler, error: str) -> None:
    async with sidecar(handler) as port:
        assert (await read(port)).error == error


@pytest.mark.parametrize("handler", [unsigned, of_another_pod, of_the_other_sidecar, of_before, changed])
async def test_what_the_sidecar_did_not_sign_for_this_question_is_not_believed(handler: Handler) -> None:
    async with sidecar(handler) as port:
        found = await read(port)

    assert found.report is None
    verdict = judge_tools(found)
    assert (verdict.status, verdict.reason) == ("False", Reason.UNSIGNED_REPORT)
    assert verdict.message == "the answer at the port of toolproxy is not signed with the Pod's key"


async def test_what_is_remembered_of_any_number_of_large_reports_is_bounded() -> None:
    large = ToolsReport(agent="x" * (REPORT_BYTES - 1000), ready=True).model_dump_json().encode()

    async def answer(request: web.Request) -> web.Response:
        signer = Signer(SIGNER.key, f"uid-p{number}", SIGNER.sidecar)
        return web.Response(body=large, headers=sign(request, large, signer))

    async with sidecar(answer) as port, ReportReader(timeout_s=20) as reader:
        for number in range(3 * REMEMBERED_BYTES // REPORT_BYTES):
            signer = Signer(SIGNER.key, f"uid-p{number}", SIGNER.sidecar)
            subject = pod(name=f"p{number}", podIP="127.0.0.1")
            found = await reader.read(subject, port, ToolsReport, signer=signer, ready=True)
            assert found.report is not None
            assert found.size_bytes == len(large)
            kept = sum(each.answer.size_bytes for each in reader._known.values())
            assert kept <= REMEMBERED_BYTES


async def test_a_sidecar_that_is_gone_is_named() -> None:
    async with sidecar(refused) as port:
        pass
    assert (await read(port)).error.startswith("the report cannot be read (Client")


def tools(*, ready: bool, state: str) -> Answer[ToolsReport]:
    tool = ToolReport.model_validate({"name": "jq", "required": True, "state": state, "kind": "command"})
    return Answer(ToolsReport(agent="subject", ready=ready, tools=(tool,)))


@pytest.mark.parametrize(
    "ready, state, reason, message",
    [
        (False, "installing", Reason.PROGRESSING, "preparing jq"),
        (False, "ready", Reason.PROGRESSING, "the tools are being listed"),
        (False, "failed", Reason.TOOL_FAILED, "jq: failed"),
        (True, "ready", Reason.READY, "1 of 1 ready"),
    ],
)
def test_what_tools_lack_is_said(ready: bool, state: str, reason: Reason, message: str) -> None:
    verdict = judge_tools(tools(ready=ready, state=state))
    assert (verdict.reason, verdict.message) == (reason, message)


@pytest.mark.parametrize(
    "usable, reason, message",
    [
        (True, Reason.PROGRESSING, "the gateway is starting or stopping"),
        (
            False,
            Reason.NO_PROVIDER,
            "no provider can be used: each needs a key in its Secret, in a field called api-key",
        ),
    ],
)
def test_a_gateway_that_is_not_ready_lacks_keys_only_when_it_does(usable: bool, reason: Reason, message: str) -> None:
    provider = ProviderState(name="main", type="openai", usable=usable)
    verdict = judge_gateway(Answer(GatewayReport(agent="subject", ready=False, providers=(provider,))))
    assert (verdict.reason, verdict.message) == (reason, message)


def test_the_status_has_no_more_tools_than_the_definition_takes_and_the_broken_ones_first() -> None:
    ready = [ToolReport(name=f"tool{number}", required=True, state="ready") for number in range(64)]
    failed = ToolReport(name="late", required=False, state="failed", error="no")
    drifted = [ToolReport(name=f"tool0__{number}", required=True, state="blocked") for number in range(99)]
    foreign = ToolReport(name="foreign", required=True, state="failed")
    report = ToolsReport(agent="subject", ready=True, tools=(*ready, failed, *drifted, foreign))

    found = tool_status(Answer(report), {*(tool.name for tool in ready), "late"})

    assert found is not None
    assert len(found) == 64
    assert found["late"]["state"] == "failed"
    assert sum(each["state"] == "blocked" for each in found.values()) == 32
    assert "foreign" not in found


def test_what_is_too_large_to_be_read_is_said_and_no_progress() -> None:
    found = judge_tools(Answer(error="the report is larger than 512 KiB", too_large=True))
    assert (found.status, found.reason) == ("False", Reason.REPORT_TOO_LARGE)


def test_a_report_of_1600_tools_of_servers_is_read() -> None:
    pins = {
        f"server__{'t' * 50}{number}": PinnedDefinition(hash="a" * 64, call_hash="b" * 64) for number in range(1600)
    }
    report = ToolsReport(agent="subject", ready=True, lock=ToolsLock(definitions=pins).bounded())
    assert len(report.model_dump_json(by_alias=True).encode()) < REPORT_BYTES


def test_the_definition_takes_every_field_that_is_written_into_a_status() -> None:
    """The API server drops the others, and they would be written again for ever."""
    assert set(ToolReport.model_fields) - {"name"} <= set(ToolStatus.model_fields)
    assert set(MemoryReport.model_fields) - {"full"} <= set(MemoryStatus.model_fields)


def test_a_backup_that_could_not_answer_is_shown_before_it_is_needed() -> None:
    main = ProviderState(name="main", type="openai", usable=True)
    backup = ProviderState(
        name="backup",
        type="anthropic",
        usable=True,
        rehearsed=9,
        not_carried=4,
        not_carried_why="`n` cannot be carried",
    )
    verdict = judge_gateway(Answer(GatewayReport(agent="subject", ready=True, providers=(main, backup))))
    assert verdict.status == "True"
    assert verdict.message == (
        "2 providers; backup could not have answered 4 of 9 sampled requests: `n` cannot be carried"
    )


@pytest.mark.parametrize(
    "words, status, reason",
    [
        ("key_refused: no such key", "False", Reason.PROVIDERS_FAILING),
        ("server_error: once more", "True", Reason.READY),
    ],
)
def test_a_provider_that_refuses_its_key_is_told_after_the_first_call(words: str, status: str, reason: Reason) -> None:
    route = RouteState(model="m", consecutive_failures=1)
    provider = ProviderState(name="main", type="openai", usable=True, routes=(route,), last_error=words)

    verdict = judge_gateway(Answer(GatewayReport(agent="subject", ready=True, providers=(provider,))))

    assert (verdict.status, verdict.reason) == (status, reason)


def gateway(**fields: Any) -> Answer[GatewayReport]:
    provider = ProviderState(name="main", type="openai", usable=True)
    return Answer(GatewayReport(agent="subject", **{"ready": True, "providers": (provider,), **fields}))


def proxy(state: ToolState = "ready", **fields: Any) -> Answer[ToolsReport]:
    tool = ToolReport(name="jq", required=True, state=state)
    return Answer(ToolsReport(agent="subject", ready=state == "ready", tools=(tool,), **fields))


@pytest.mark.parametrize(
    "verdict, status, reason",
    [
        (judge_gateway(gateway(config_hash="old"), "new"), "False", Reason.PROGRESSING),
        (judge_gateway(gateway(config_hash="old"), "old"), "True", Reason.READY),
        (judge_gateway(gateway(), "new"), "True", Reason.READY),
        (judge_gateway(gateway(config_hash="old"), ""), "True", Reason.READY),
        (judge_gateway(gateway(config_hash="old", providers=()), "new"), "False", Reason.PROGRESSING),
        (judge_gateway(gateway(config_hash="old", config_error="no"), "new"), "False", Reason.CONFIG_REFUSED),
        (judge_tools(proxy(config_hash="old"), "new"), "False", Reason.PROGRESSING),
        (judge_tools(proxy(config_hash="old"), "old"), "True", Reason.READY),
        (judge_tools(proxy("failed", config_hash="old"), "new"), "False", Reason.PROGRESSING),
        (judge_tools(proxy("failed", config_hash="old"), "old"), "False", Reason.TOOL_FAILED),
        (judge_tools(proxy("failed", config_hash="old", config_error="no"), "new"), "False", Reason.CONFIG_REFUSED),
    ],
)
def test_a_report_counts_for_the_configuration_that_it_names(verdict: Verdict, status: str, reason: Reason) -> None:
    assert (verdict.status, verdict.reason) == (status, reason)


def test_the_digests_are_those_of_the_configuration_as_it_is_sent() -> None:
    config = ToolsConfig(agent="subject", tools=(PlannedTool(name="jq"),))
    decision = ApprovalDecision(request="r", hash="h", decision="approved")
    decided = config.model_copy(update={"decisions": (decision,)})
    other = config.model_copy(update={"tools": ()})
    data = {"gateway.json": '{"a": "\u00fc"}', "tools.json": decided.model_dump_json(indent=2, by_alias=True)}
    sent = [
        {"kind": "ConfigMap", "metadata": {"name": "other"}, "data": {"tools.json": "no JSON"}},
        {"kind": "Secret", "metadata": {"name": "subject-config"}},
        {"kind": "ConfigMap", "metadata": {"name": "subject-config"}, "data": data},
    ]
    found = AppliedConfig.of(sent, "subject-config")

    assert found.gateway == hashlib.sha256(data["gateway.json"].encode()).hexdigest()
    assert found.tools == configuration_digest(config) != configuration_digest(other)
    assert AppliedConfig.of(sent[:2], "subject-config") == AppliedConfig()


async def test_a_report_is_read_anew_until_the_newest_configuration_is_in_use() -> None:
    given = ["old", "new"]

    async def answer(request: web.Request) -> web.Response:
        body = proxy(config_hash=given.pop(0)).report.model_dump_json(by_alias=True).encode()  # type: ignore[union-attr]
        return web.Response(body=body, headers=sign(request, body, keys.signer("toolproxy", "uid-pod")))

    keys = PodKeys.new()
    subject = pod(init=(state("toolproxy", ready=True, running={}),), podIP="127.0.0.1")
    async with sidecar(answer) as port, ReportReader(timeout_s=60) as reader:
        truths = []
        for truth in ("True", "False", "True"):
            before = {"conditions": [{"type": "ToolsReady", "status": truth}]}
            probe = SidecarProbe([subject], reader, keys, hasten=False, before=before, wanted=AppliedConfig())
            found = await probe.ask("toolproxy", port, ToolsReport, ConditionType.TOOLS_READY)
            truths.append(judge_tools(found, "new").status)
            given = given or ["new"]
    assert truths == ["False", "True", "True"]


def test_a_gateway_that_has_not_read_its_configuration_yet_lacks_no_keys() -> None:
    verdict = judge_gateway(Answer(GatewayReport(agent="", ready=False)))
    assert (verdict.status, verdict.reason) == ("False", Reason.PROGRESSING)
