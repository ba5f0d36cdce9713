"""Sidecars of fake Pods: their reports, at the addresses that kwok gives to Pods.

The addresses are those of a network of this process's own, all of them on its loopback, so that no packet leaves it.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents import PROVIDER, TOOL
from aiohttp import web

from agent_api import layout
from agent_api.gatewayreport import GatewayReport, ProviderState
from agent_api.memoryreport import MemoryReport
from agent_api.toolsreport import ToolReport, ToolsReport

POD_NETWORK = "10.77.0.1/16"
"""Holds the addresses of hack/testcluster's fake Pods."""
_MARK = "AGENTBERTH_BENCH_NETWORK"
_ENTER = f'ip link set lo up && ip address add {POD_NETWORK} dev lo && exec "$@"'


def enter_network() -> None:
    """Start this program again in a network of its own, unless it is in one. As root, with iproute2."""
    if _MARK not in os.environ:
        words = ["unshare", "--net", "sh", "-c", _ENTER, "sh", sys.executable, *sys.argv]
        os.execvpe(words[0], words, {**os.environ, _MARK: "1"})  # noqa: S606 - no shell sees a user's word


@asynccontextmanager
async def reporting() -> AsyncIterator[None]:
    """Every Pod's sidecars say that all is well."""
    memory = MemoryReport(reachable=True, used_bytes=1_000_000, max_bytes=64_000_000, keys=1)
    tool = ToolReport(name=TOOL, required=True, state="ready")
    provider = ProviderState(name=PROVIDER, type="mock", answering=True)
    reports = {
        layout.TOOLPROXY_OPS_PORT: ToolsReport(agent="any", ready=True, tools=(tool,), memory=memory),
        layout.LLMGATEWAY_OPS_PORT: GatewayReport(agent="any", ready=True, providers=(provider,), memory=memory),
    }
    runners = [await _serve(port, report) for port, report in reports.items()]
    try:
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


async def _serve(port: int, report: ToolsReport | GatewayReport) -> web.AppRunner:
    text = report.model_dump_json(by_alias=True)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    app = web.Application()
    app.router.add_get("/report", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - a network of its own
    return runner
