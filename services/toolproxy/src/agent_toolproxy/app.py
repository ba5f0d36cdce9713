"""The composition root: builds the tool proxy and runs it. No logic is here."""

import logging
import os
import sys
from functools import partial
from pathlib import Path

import aiohttp

from agent_api import layout
from agent_api.toolsconfig import PlannedTool
from agent_base.redaction import Redactor
from agent_kit.files import WatchedFile
from agent_kit.memorywatch import MemoryGauge, MemoryWatch
from agent_kit.metrics import new_registry
from agent_kit.ops import OpsServer
from agent_kit.service import Stop, launch
from agent_kit.telemetry import Telemetry
from agent_kit.tracing import start_telemetry
from agent_toolproxy.configuration import Configuration, parse_config
from agent_toolproxy.credentials import Credentials
from agent_toolproxy.installers.download import Downloader
from agent_toolproxy.memory.link import MemoryLink
from agent_toolproxy.metrics import ToolMetrics
from agent_toolproxy.network.guard import NetworkGuard
from agent_toolproxy.network.httpsession import open_session
from agent_toolproxy.process.landlock import is_available
from agent_toolproxy.process.workspace import Workspace, search_path
from agent_toolproxy.report import Reporter
from agent_toolproxy.serving.mcp.endpoint import McpServer
from agent_toolproxy.serving.rest import RestApi
from agent_toolproxy.serving.server import FrontDoor, build_app, serve
from agent_toolproxy.settings import ToolProxySettings
from agent_toolproxy.sources.source import HttpServer
from agent_toolproxy.store.lockfile import LockFile
from agent_toolproxy.store.store import Store
from agent_toolproxy.tools.audit import Audit
from agent_toolproxy.tools.connect import Connector, HttpConnector, StdioConnector
from agent_toolproxy.tools.discovery import Found
from agent_toolproxy.tools.entry import Entry
from agent_toolproxy.tools.factory import Parts, make_entry
from agent_toolproxy.tools.gate import Gate
from agent_toolproxy.tools.pinning import Pins
from agent_toolproxy.tools.provision import Provisioner
from agent_toolproxy.tools.registry import Registry
from agent_toolproxy.tools.toolbox import Toolbox
from agent_toolproxy.tools.upstream import UpstreamEntry

NAME = "agent-toolproxy"
_log = logging.getLogger(__name__)


def main() -> None:
    """The program."""
    redactor = Redactor()
    sys.exit(launch(partial(run, redactor), ToolProxySettings, name=NAME, redactor=redactor))


async def run(redactor: Redactor, settings: ToolProxySettings, stop: Stop) -> None:
    """Serve until told to stop. The tools folder is held for as long."""
    guard = NetworkGuard()
    store = Store(settings.located(settings.tools)).open()
    try:
        async with (
            start_telemetry(
                settings.otlp_endpoint, service=NAME, flush_s=settings.otlp_flush_s, redact=redactor.redact
            ) as telemetry,
            open_session(guard) as session,
        ):
            proxy = Proxy(settings, redactor, telemetry, session, guard, store)
            await proxy.serve(stop)
    finally:
        store.close()


class Proxy:
    """The parts, wired."""

    def __init__(
        self,
        settings: ToolProxySettings,
        redactor: Redactor,
        telemetry: Telemetry,
        session: aiohttp.ClientSession,
        guard: NetworkGuard,
        store: Store,
    ) -> None:
        self._settings, self._redactor, self._session, self._guard = settings, redactor, session, guard
        self._store = store
        self._metrics_registry = new_registry()
        metrics = ToolMetrics(self._metrics_registry)
        workspace_root = settings.located(settings.workspace)
        lock = LockFile(store.root, workspace_root)
        lock.load()
        pins = Pins(lock)
        self._image_path = os.environ.get("PATH", os.defpath)
        self._path = search_path(store.bin, self._image_path)
        self._workspace = Workspace(workspace_root, settings.located(layout.CONFIG))
        gate = Gate(1)
        self._watch = MemoryWatch()
        self._metrics_registry.register(MemoryGauge(self._watch))
        self._memory = MemoryLink(
            credentials_folder=self._credentials_folder,
            register=redactor.add,
            redact=redactor.redact,
            watch=self._watch,
        )
        self._configuration = Configuration(
            settings=settings, guard=guard, pins=pins, gate=gate, memory=self._memory, store=store
        )
        self._audit = Audit(redactor)
        self._toolbox = Toolbox(pins=pins, metrics=metrics, audit_log=self._audit, telemetry=telemetry)
        self._provisioner = self._build_provisioner(pins)
        self._registry = self._build_registry(gate)
        self._toolbox.attach(self._registry)

    def _build_provisioner(self, pins: Pins) -> Provisioner:
        return Provisioner(
            store=self._store,
            pins=pins,
            downloader=Downloader(self._session, self._guard),
            workspace=self._workspace,
            path=self._path,
            image_path=self._image_path,
            surroundings=self._configuration.surroundings,
        )

    def _build_registry(self, gate: Gate) -> Registry:
        parts = Parts(
            store=self._store,
            provisioner=self._provisioner,
            workspace=self._workspace,
            gate=gate,
            path=self._path,
            limits=lambda: self._configuration.current.limits,
            notes=lambda: self._memory.notes,
            credentials_folder=self._credentials_folder,
            register=self._redactor.add,
            make_upstream=self._make_upstream,
        )
        toolbox = self._toolbox
        return Registry(partial(make_entry, parts, toolbox.mark_changed), toolbox.mark_changed, toolbox.wait_settled)

    def _credentials_folder(self, name: str) -> Path:
        return self._settings.located(Path(layout.CREDENTIALS, name))

    def _make_upstream(self, planned: PlannedTool, found: Found, credentials: Credentials) -> Entry:
        limits = lambda: self._configuration.current.limits  # noqa: E731 - asked at each use
        if isinstance(found.source, HttpServer):
            connector: Connector = HttpConnector(
                found.source.url,
                found.definition,
                session=self._session,
                guard=self._guard,
                credentials=credentials,
            )
        else:
            connector = StdioConnector(
                planned.name,
                found,
                provisioner=self._provisioner,
                workspace=self._workspace,
                credentials=credentials,
                path=self._path,
                limits=limits,
            )
        return UpstreamEntry(planned, found.definition, connector, limits=limits, on_change=self._toolbox.mark_changed)

    async def serve(self, stop: Stop) -> None:
        """Start everything in the order in which it is needed, and stop in the reverse."""
        settings, redactor = self._settings, self._redactor
        config = WatchedFile(
            settings.located(settings.config),
            parse_config,
            interval_s=settings.watch_interval_s,
            size_limit_bytes=settings.watch_limit_bytes,
        )
        reporter = Reporter(self._registry, self._toolbox, config, lambda: self._watch.report)
        mcp = McpServer(self._toolbox, stop.tasks, redactor.redact)
        rest = RestApi(self._registry, self._toolbox, lambda: self._memory.notes, redactor.redact)
        door = FrontDoor(settings.host, settings.allowed_hosts, settings.allowed_origins)
        app = build_app(door, (mcp.add_routes, rest.add_routes))
        ops = OpsServer(
            settings.ops_host,
            settings.ops_port,
            ready={"tools": reporter.check, "stop": stop.check},
            registry=self._metrics_registry,
            report=reporter.report,
            redact=redactor.redact,
            check_timeout_s=settings.ops_check_timeout_s,
        )
        async with ops, serve(app, settings.host, settings.port) as port:
            for work in (config.run, self._registry.run, self._toolbox.run, self._watch.run):
                stop.tasks.create_task(work())
            stop.tasks.create_task(self._configuration.follow(config, self._registry))
            if not is_available():
                _log.warning("the kernel has no Landlock: tools can read the credentials of other tools")
            _log.info("serving", extra={"port": port, "ops_port": ops.port})
            await stop.wait()
            mcp.close()
        self._audit.flush()
        await self._memory.close()
