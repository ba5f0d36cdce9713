"""The composition root of agent-operator: builds the parts and wires them, nothing else."""

import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from prometheus_client import CollectorRegistry

from agent_base.redaction import Redactor
from agent_kit.logs import bind
from agent_kit.metrics import new_registry
from agent_kit.ops import OpsServer
from agent_kit.service import Stop, launch
from agent_kit.telemetry import Telemetry
from agent_kit.tracing import start_telemetry
from agent_kube import (
    Client,
    Controller,
    Elector,
    EventRecorder,
    Health,
    Metrics,
    Request,
    Runtime,
    Settings,
    Stores,
    WatchSettings,
    open_access,
)
from agent_operator import sources
from agent_operator.agentstates import AgentStates
from agent_operator.budget.exchange import GrantExchange
from agent_operator.budget.keeper import BudgetKeeper
from agent_operator.children.keys import KeyRing
from agent_operator.children.replicas import agents_scaled_by
from agent_operator.installation import Installations, asked
from agent_operator.platform import read_platform
from agent_operator.reconcile import FIELD_MANAGER, Reconciler
from agent_operator.settings import OperatorSettings
from agent_operator.status.reports import ReportReader
from agent_render.settings import PlatformSettings

NAME = "agent-operator"
SETTLE_S = 0.5  # what a starting agent's children tell comes in bursts: one look and one write for each


def main() -> None:
    """The program."""
    redactor = Redactor()
    sys.exit(launch(partial(serve, redactor), OperatorSettings, name=NAME, redactor=redactor))


async def serve(redactor: Redactor, settings: OperatorSettings, stop: Stop) -> None:
    """Runs the operator until `stop`."""
    platform = _read_platform(settings)
    instance = settings.instance or f"{socket.gethostname()}-{uuid.uuid4().hex[:6]}"
    registry = new_registry()
    metrics = Metrics(registry)
    async with (
        start_telemetry(settings.otlp_endpoint, service=NAME, flush_s=settings.otlp_flush_s) as telemetry,
        ReportReader(refresh_s=settings.report_refresh_s) as reports,
        GrantExchange() as exchange,
        Client(await open_access(), user_agent=NAME) as client,
    ):
        stores = Stores(sources.ALL, namespaces=settings.namespaces)
        recorder = EventRecorder(client, controller=FIELD_MANAGER, instance=instance)
        keys = KeyRing(stores)
        installations = _build_installations(client, stores, recorder, settings)
        keeper = BudgetKeeper(client, stores, keys, exchange, recorder, installations)
        reconciler = Reconciler(
            client,
            stores,
            recorder,
            reports,
            AgentStates(registry),
            platform=platform,
            keys=keys,
            installations=installations,
            resync_s=settings.resync_s,
            api_retry_s=settings.api_retry_s,
        )
        await Runtime(
            client,
            stores,
            controllers=_build_controllers(reconciler, keeper, stores, settings, metrics, telemetry),
            elector=build_elector(client, settings, metrics, instance) if settings.leader_election else None,
            recorder=recorder,
            operations=partial(build_ops, settings, registry, redactor, stop, installations),
            metrics=metrics,
            watch_settings=WatchSettings(silence_s=settings.watch_silence_s, optional_retry_s=settings.api_retry_s),
            drain_s=settings.drain_s,
        ).run(stop)


def _read_platform(settings: OperatorSettings) -> PlatformSettings:
    return read_platform(
        settings.platform,
        settings.catalogue,
        tracing_endpoint=settings.tracing_endpoint,
        storage_class=settings.storage_class,
        namespace=settings.lease_namespace,
    )


def _build_installations(
    client: Client, stores: Stores, recorder: EventRecorder, settings: OperatorSettings
) -> Installations:
    name = f"{settings.lease_namespace}/{settings.lease_name}"
    return Installations(client, stores, recorder, name=name, silence_s=settings.takeover_s)


def _build_controllers(
    reconciler: Reconciler,
    keeper: BudgetKeeper,
    stores: Stores,
    settings: OperatorSettings,
    metrics: Metrics,
    telemetry: Telemetry,
) -> list[Controller]:
    return [
        build_controller(reconciler, stores, settings, metrics, telemetry),
        build_budget_controller(keeper, stores, settings, metrics),
    ]


def build_controller(
    reconciler: Reconciler, stores: Stores, settings: OperatorSettings, metrics: Metrics, telemetry: Telemetry
) -> Controller:
    """Which objects wake a pass over which agent."""
    return Controller(
        reconciler.reconcile,
        name="agenttype",
        stores=stores,
        root=sources.AGENTS,
        owns=sources.CHILDREN,
        watches=[
            (sources.PODS_OF_AGENTS, sources.agent_of),
            (sources.JOB_SOURCE, sources.agent_of),
            (sources.REPLICATED, sources.agent_of),
            (sources.CLAIMS, sources.agent_of),
            (sources.APPROVALS, sources.agent_of),
            (sources.SCALED, agents_scaled_by),
            (sources.AGENTS, asked),
        ],
        settings=Settings(workers=settings.workers, timeout_s=settings.reconcile_timeout_s, settle_s=SETTLE_S),
        metrics=metrics,
        on_failure=reconciler.show_failure,
        around=partial(_pass, telemetry),
    )


def build_budget_controller(
    keeper: BudgetKeeper, stores: Stores, settings: OperatorSettings, metrics: Metrics
) -> Controller:
    """Which objects wake a look at an agent's budget."""
    return Controller(
        keeper.reconcile,
        name="budget",
        stores=stores,
        root=sources.AGENTS,
        watches=[(sources.PODS_OF_AGENTS, sources.agent_of)],
        settings=Settings(workers=settings.workers, timeout_s=settings.reconcile_timeout_s, settle_s=SETTLE_S),
        metrics=metrics,
    )


def build_elector(client: Client, settings: OperatorSettings, metrics: Metrics, instance: str) -> Elector:
    """One instance leads."""
    return Elector(
        client,
        namespace=settings.lease_namespace,
        name=settings.lease_name,
        identity=instance,
        on_change=metrics.leading.labels(settings.lease_name).set,
    )


def build_ops(
    settings: OperatorSettings,
    registry: CollectorRegistry,
    redactor: Redactor,
    stop: Stop,
    installations: Installations,
    health: Health,
) -> OpsServer:
    """Probes and metrics."""
    return OpsServer(
        settings.ops_host,
        settings.ops_port,
        live={"runtime": health.ailing},
        ready={"caches": health.unready, "installation": installations.standing_still, "stop": stop.check},
        registry=registry,
        redact=redactor.redact,
        check_timeout_s=settings.ops_check_timeout_s,
    )


@contextmanager
def _pass(telemetry: Telemetry, request: Request) -> Iterator[None]:
    """One reconcile as a span, its id in every log line."""
    attributes = {"k8s.namespace.name": request.key.namespace, "agent.name": request.key.name}
    names = {"agent": request.key.name, "namespace": request.key.namespace}
    with bind(reconcile_id=request.id, **names), telemetry.span("reconcile", attributes=attributes) as span:
        yield
        span.set("agentberth.writes", request.writes.count)
