"""The composition root: builds the tool proxy and runs it. No logic is here."""

import logging
import os
import sys
from functools import partial
from pathlib import Path

import aiohttp

from agent_api import layout
from agent_base.proxies import ProxyRules
from agent_base.redaction import Redactor
from agent_kit.callerauth import Door, read_token
from agent_kit.files import WatchedFile
from agent_kit.memorywatch import MemoryGauge, MemoryWatch
from agent_kit.metrics import new_registry
from agent_kit.ops import OpsServer
from agent_kit.reportkey import read_signer
from agent_kit.service import Stop, launch
from agent_kit.telemetry import Telemetry
from agent_kit.tracing import start_telemetry
from agent_toolproxy.configuration import Configuration, parse_config
from agent_toolproxy.credentials import CredentialStore
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.installers.context import InstallContext
from agent_toolproxy.installers.download import Downloader
from agent_toolproxy.memory.link import MemoryLink
from agent_toolproxy.messagememory import MessageRoom
from agent_toolproxy.metrics import ToolMetrics
from agent_toolproxy.network.addresspolicy import AddressPolicy
from agent_toolproxy.network.httpsession import open_session
from agent_toolproxy.process.landlock import describe as describe_walls
from agent_toolproxy.process.landlock import is_available
from agent_toolproxy.process.workspace import Workspace, search_path
from agent_toolproxy.report import ConfigSource, Reporter
from agent_toolproxy.rules.rulebook import open_rules
from agent_toolproxy.serving.mcp.endpoint import McpServer
from agent_toolproxy.serving.rest import RestApi
from agent_toolproxy.serving.server import build_app, serve
from agent_toolproxy.settings import ToolProxySettings
from agent_toolproxy.store.lockfile import LockFile
from agent_toolproxy.store.store import Store
from agent_toolproxy.tools.audit import Audit
from agent_toolproxy.tools.callrecord import CallRecorder
from agent_toolproxy.tools.changes import Changes
from agent_toolproxy.tools.concurrency import Gate
from agent_toolproxy.tools.factory import ToolParts, make_tool
from agent_toolproxy.tools.lanes import Lanes
from agent_toolproxy.tools.pinning import Pins
from agent_toolproxy.tools.provision import Provisioner
from agent_toolproxy.tools.registry import Registry
from agent_toolproxy.tools.servers.relay import Relay
from agent_toolproxy.tools.servers.signals import Signals
from agent_toolproxy.tools.toolbox import Toolbox

NAME = "agent-toolproxy"
_log = logging.getLogger(__name__)


def main() -> None:
    """The program."""
    redactor = Redactor()
    sys.exit(launch(partial(run, redactor), ToolProxySettings, name=NAME, redactor=redactor))


async def run(redactor: Redactor, settings: ToolProxySettings, stop: Stop) -> None:
    """Serve until told to stop. The tools folder is held for as long."""
    addresses = AddressPolicy()
    store = Store(settings.located(settings.tools)).open()
    try:
        async with (
            start_telemetry(
                settings.otlp_endpoint, service=NAME, flush_s=settings.otlp_flush_s, redact=redactor.redact
            ) as telemetry,
            open_session(addresses, ProxyRules.from_environment(os.environ)) as session,
        ):
            proxy = Proxy(settings, redactor, telemetry, session, addresses, store)
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
        addresses: AddressPolicy,
        store: Store,
    ) -> None:
        self._settings, self._redactor = settings, redactor
        self._metrics_registry = new_registry()
        self._current = CurrentConfig()
        self._watch = MemoryWatch()
        self._metrics_registry.register(MemoryGauge(self._watch))
        credentials = CredentialStore(self._locate_credentials, redactor)
        self._memory = MemoryLink(credentials=credentials, redact=redactor.redact, watch=self._watch)
        lock = LockFile(store.root, settings.located(settings.workspace))
        lock.load()
        self._pins = Pins(lock, self._current)
        self._gate = Gate(1)
        self._signals = Signals()
        self._room = MessageRoom()
        self._rules = open_rules(self._current, store.root)
        self._configuration = self._make_configuration(addresses, store)
        changes = Changes()
        parts = self._make_parts(store, session, addresses, credentials, changes)
        self._registry = Registry(partial(make_tool, parts), changes)
        self._audit = Audit(redactor)
        self._recorder = CallRecorder(redactor, lambda: self._current.value.capture_content)
        self._toolbox = self._make_toolbox(changes, telemetry)
        self._relay = Relay(self._registry, self._toolbox, self._current, self._signals, redactor.mask_escaped)

    def _make_toolbox(self, changes: Changes, telemetry: Telemetry) -> Toolbox:
        return Toolbox(
            registry=self._registry,
            current=self._current,
            changes=changes,
            pins=self._pins,
            rules=self._rules,
            metrics=ToolMetrics(self._metrics_registry),
            audit_log=self._audit,
            recorder=self._recorder,
            telemetry=telemetry,
            redactor=self._redactor,
            announcements=self._signals.announcements,
        )

    def _make_configuration(self, addresses: AddressPolicy, store: Store) -> Configuration:
        return Configuration(
            current=self._current,
            addresses=addresses,
            pins=self._pins,
            gate=self._gate,
            approvals=self._rules.approvals,
            memory=self._memory,
            store=store,
        )

    def _make_parts(
        self,
        store: Store,
        session: aiohttp.ClientSession,
        addresses: AddressPolicy,
        credentials: CredentialStore,
        changes: Changes,
    ) -> ToolParts:
        settings, current = self._settings, self._current
        image_path = os.environ.get("PATH", os.defpath)
        path = search_path(store.bin, image_path)
        workspace = Workspace(settings.located(settings.workspace), settings.located(layout.CONFIG), store.calls)
        provisioner = Provisioner(
            store=store,
            pins=self._pins,
            downloader=Downloader(session, addresses),
            workspace=workspace,
            image_path=image_path,
            context=InstallContext(current, settings.located),
            current=current,
        )
        return ToolParts(
            current=current,
            changes=changes,
            store=store,
            provisioner=provisioner,
            workspace=workspace,
            gate=self._gate,
            lanes=Lanes(),
            signals=self._signals,
            room=self._room,
            path=path,
            redactor=self._redactor,
            memory=self._memory,
            credentials=credentials,
            session=session,
            addresses=addresses,
        )

    def _locate_credentials(self, name: str) -> Path:
        return self._settings.located(Path(layout.CREDENTIALS, name))

    def _make_reporter(self, config: ConfigSource) -> Reporter:
        return Reporter(
            current=self._current,
            registry=self._registry,
            toolbox=self._toolbox,
            config=config,
            memory=self._watch,
            pins=self._pins,
            approvals=self._rules.approvals,
        )

    async def serve(self, stop: Stop) -> None:
        """Start everything in the order in which it is needed, and stop in the reverse."""
        settings, redactor = self._settings, self._redactor
        config = WatchedFile(
            settings.located(settings.config),
            parse_config,
            interval_s=settings.watch_interval_s,
            size_limit_bytes=settings.watch_limit_bytes,
        )
        reporter = self._make_reporter(config)
        mcp = McpServer(self._toolbox, self._relay, self._signals, stop.tasks, redactor.redact)
        rest = RestApi(self._registry, self._toolbox, self._memory, redactor.redact)
        app = build_app(_open_door(settings), (mcp.add_routes, rest.add_routes), self._room)
        ops = OpsServer(
            settings.ops_host,
            settings.ops_port,
            ready={"tools": reporter.check, "stop": stop.check},
            registry=self._metrics_registry,
            report=reporter.report,
            calls=lambda after: self._recorder.ring.report(self._current.value.agent, after),
            redact=redactor.redact,
            check_timeout_s=settings.ops_check_timeout_s,
            signer=read_signer(settings.located(settings.report_key), layout.TOOLPROXY),
        )
        async with ops, serve(app, settings.host, settings.port) as port:
            for work in (config.run, self._registry.run, self._toolbox.run, self._watch.run):
                stop.tasks.create_task(work())
            stop.tasks.create_task(self._configuration.follow(config, self._registry))
            if not is_available():
                _log.warning("the kernel has no Landlock: tools can read the credentials of other tools")
            _log.info("walls between tools", extra={"walls": describe_walls()})
            _log.info("serving", extra={"port": port, "ops_port": ops.port})
            await stop.wait()
            mcp.close()
        self._audit.flush()
        await self._memory.close()


def _open_door(settings: ToolProxySettings) -> Door:
    """Who is served. Raises TokenError."""
    token = read_token(settings.located(settings.token))
    if token is None:
        _log.warning("no token is mounted: whoever reaches the port is served", extra={"file": str(settings.token)})
    return Door(
        settings.host, allowed_hosts=settings.allowed_hosts, allowed_origins=settings.allowed_origins, token=token
    )
