"""The composition root: everything is built and wired here, and nothing is decided."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from time import monotonic, time

from prometheus_client import CollectorRegistry

from agent_api import layout
from agent_api.calls import CallsReport
from agent_api.gatewayreport import BudgetState, GatewayReport
from agent_base.proxies import ProxyRules
from agent_base.redaction import Redactor
from agent_kit.callerauth import Door, read_token
from agent_kit.calls import RUN_VARIABLE, CallRing, run_parent
from agent_kit.errors import ListenError
from agent_kit.files import WatchedFile
from agent_kit.memorywatch import MemoryGauge, MemoryWatch
from agent_kit.metrics import new_registry
from agent_kit.ops import OpsServer
from agent_kit.reportkey import read_signer
from agent_kit.service import Stop, launch
from agent_kit.telemetry import Telemetry
from agent_kit.tracing import start_telemetry
from agent_llmgateway.budget.allowance import Allowance
from agent_llmgateway.budget.budget import Budget
from agent_llmgateway.budget.memory import open_client
from agent_llmgateway.config.loaded import LoadedConfig, parse_config
from agent_llmgateway.config.providerset import ProviderSet
from agent_llmgateway.failover.attempts import Attempts
from agent_llmgateway.failover.breaker import BreakerBoard
from agent_llmgateway.failover.dependencies import FailoverDependencies
from agent_llmgateway.failover.retries import RetryBudget
from agent_llmgateway.grants import GrantDesk
from agent_llmgateway.http.callaudit import CallAudit
from agent_llmgateway.http.callrecord import show_call
from agent_llmgateway.http.server import GatewayServer
from agent_llmgateway.http.state import GatewayState
from agent_llmgateway.livemetrics import LiveMetrics
from agent_llmgateway.memoryprobe import follow_memory
from agent_llmgateway.metrics.prometheus import Metrics
from agent_llmgateway.metrics.providerstats import ProviderStats
from agent_llmgateway.reload import Reloader
from agent_llmgateway.settings import GatewaySettings
from agent_llmgateway.upstream.connections import Upstream, check_c_parser

NAME = "agent-llmgateway"
_log = logging.getLogger(__name__)
Checks = dict[str, Callable[[], str | None]]


def serve_gateway(arguments: list[str]) -> int:
    """Serve until a signal; the exit code."""
    redactor = Redactor()
    return launch(partial(serve, redactor), GatewaySettings, name=NAME, redactor=redactor, argv=arguments)


async def serve(redactor: Redactor, settings: GatewaySettings, stop: Stop) -> None:
    """Build the gateway, serve, drain."""
    check_c_parser()
    registry = new_registry()
    watched = WatchedFile(settings.locate(settings.config), parse_config, interval_s=settings.watch_interval_s)
    allowance = Allowance(settings.locate(settings.state), time, os.environ.get(RUN_VARIABLE, ""))
    budget = Budget(allowance, time, grant_wait_s=settings.grant_wait_s)
    signer = read_signer(settings.locate(settings.report_key), layout.LLMGATEWAY)
    memory = MemoryWatch()
    registry.register(MemoryGauge(memory))
    async with (
        Upstream(ProxyRules.from_environment(os.environ)) as upstream,
        start_telemetry(
            settings.otlp_endpoint, service=NAME, flush_s=settings.otlp_flush_s, redact=redactor.redact
        ) as telemetry,
    ):
        state = build_state(registry, budget, upstream, telemetry, redactor)
        LiveMetrics(registry, state)
        reloader = Reloader(state, watched, partial(open_providers, settings, redactor))
        connect = partial(open_client, root=settings.root, redactor=redactor)
        server = GatewayServer(state, open_door(settings))
        checks = build_checks(state, watched, server, stop)
        desk = GrantDesk(budget, signer)
        async with build_ops(settings, registry, state, watched, memory, checks=checks, desk=desk):
            stop.tasks.create_task(watched.run(), name="watch config")
            stop.tasks.create_task(reloader.run(), name="reload config")
            stop.tasks.create_task(budget.run(), name="write budget")
            stop.tasks.create_task(follow_memory(watched, memory, connect), name="follow memory")
            stop.tasks.create_task(memory.run(), name="probe memory")
            freeze_gc()
            await serve_agents(server, state, settings, stop, reloader)
            state.audit.flush()
            await desk.close(settings.last_words)


def open_door(settings: GatewaySettings) -> Door:
    """Who is served. Raises TokenError."""
    token = read_token(settings.locate(settings.token))
    if token is None:
        _log.warning("no token is mounted: whoever reaches the port is served", extra={"file": str(settings.token)})
    return Door(settings.host, allowed_hosts=settings.allowed_hosts, token=token)


def build_state(
    registry: CollectorRegistry, budget: Budget, upstream: Upstream, telemetry: Telemetry, redactor: Redactor
) -> GatewayState:
    """What every request goes through."""
    board = BreakerBoard(monotonic)
    return GatewayState(
        board=board,
        failover=FailoverDependencies(
            board, RetryBudget(), Attempts(upstream, monotonic).run, monotonic, asyncio.sleep
        ),
        budget=budget,
        metrics=Metrics(registry, board),
        provider_stats=ProviderStats(board, redactor.redact),
        telemetry=telemetry,
        redactor=redactor,
        clock=monotonic,
        calls=CallRing(partial(show_call, redactor.redact)),
        audit=CallAudit(redactor),
        run_parent=run_parent(os.environ.get(RUN_VARIABLE)),
    )


def build_checks(state: GatewayState, watched: WatchedFile[LoadedConfig], server: GatewayServer, stop: Stop) -> Checks:
    """What has to be well for the gateway to be ready."""
    keys = partial(check_keys, state)
    prices = partial(check_prices, state)
    return {"config": watched.check, "keys": keys, "prices": prices, "server": server.check, "stop": stop.check}


def build_ops(  # noqa: PLR0913 - each is one thing that the server shows
    settings: GatewaySettings,
    registry: CollectorRegistry,
    state: GatewayState,
    watched: WatchedFile[LoadedConfig],
    memory: MemoryWatch,
    *,
    checks: Checks,
    desk: GrantDesk,
) -> OpsServer:
    """Readiness, metrics and the report."""
    return OpsServer(
        settings.ops_host,
        settings.ops_port,
        ready=checks,
        registry=registry,
        report=partial(make_report, state, watched, checks, memory),
        calls=partial(report_calls, state),
        redact=state.redactor.redact,
        check_timeout_s=settings.ops_check_timeout_s,
        signer=desk.signer,
        routes=desk.routes(),
    )


def report_calls(state: GatewayState, after: int) -> CallsReport:
    """The last calls, for the console."""
    return state.calls.report(state.provider_set.config.agent if state.provider_set else "", after)


def freeze_gc() -> None:
    """What is there by now stays: the garbage collector need not look at it again, nor after every few requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


async def serve_agents(
    server: GatewayServer, state: GatewayState, settings: GatewaySettings, stop: Stop, reloader: Reloader
) -> None:
    """Listen once there is a configuration, until the stop; then drain."""
    first = stop.tasks.create_task(reloader.first.wait(), name="first config")
    stopping = stop.tasks.create_task(stop.wait(), name="stop before config")
    await asyncio.wait({first, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stop.requested:
        return
    try:
        await server.start(settings.host, settings.port)
    except (OSError, OverflowError) as error:
        raise ListenError(f"agents cannot be served on {settings.host}:{settings.port}: {error}") from error
    await stop.wait()
    await server.drain(state.present.config.limits.drain_seconds)


def open_providers(settings: GatewaySettings, redactor: Redactor, loaded: LoadedConfig) -> ProviderSet:
    """The providers of a configuration."""
    return ProviderSet(
        loaded, root=settings.root, register_secret=redactor.add, watch_interval_s=settings.watch_interval_s
    )  # fmt: skip


def check_keys(state: GatewayState) -> str | None:
    """A readiness check."""
    return state.provider_set.check() if state.provider_set else "no configuration is in use"


def check_prices(state: GatewayState) -> str | None:
    """A readiness check: a budget of money that refuses every call is not ready, and says which prices it lacks."""
    config = state.provider_set.config if state.provider_set else None
    unpriced = config.unpriced() if config else ()
    return f"budget.usdPerDay is set and no price is known for {', '.join(unpriced)}" if unpriced else None


async def make_report(
    state: GatewayState,
    watched: WatchedFile[LoadedConfig],
    checks: Checks,
    memory: MemoryWatch,
) -> GatewayReport:
    """The report of now."""
    error = str(watched.error or "")
    if state.provider_set is None:
        return GatewayReport(agent="", ready=False, config_error=error, budget=BudgetState())
    ready = all(check() is None for check in checks.values())
    budget = state.budget.state(state.provider_set.config.budget)
    return state.provider_stats.report(
        state.provider_set, ready=ready, config_error=error, budget=budget, memory=memory.report
    )


if __name__ == "__main__":
    sys.exit(serve_gateway(sys.argv[1:]))
