"""One `agentberth run`: from the files of the command line to the exit code."""

import asyncio
import contextlib
import fcntl
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.initreport import InitReport
from agent_api.listprices import Price
from agent_base.atomicfile import write_atomically
from agent_base.removal import remove_tree
from agent_render import RenderError, pod_template
from agent_render.identity import Identity
from agent_render.objects.pod import pod_parts
from agent_render.objects.podkeys import PodKeys
from agent_render.settings import PlatformSettings
from agentberth.console.runview import Shown
from agentberth.errors import CommandError, ManifestError
from agentberth.local import memory, mounts
from agentberth.local.approvals import deciding, desk_of
from agentberth.local.interpreter import Interpreter, isolate
from agentberth.local.localise import localise
from agentberth.local.models import ModelChoice, with_keys
from agentberth.local.objects import Objects
from agentberth.local.pod import SIDECAR_PORTS, Host, LocalProcess, processes, split_command
from agentberth.local.ports import Ports
from agentberth.local.runoutput import RunOutput
from agentberth.local.supervisor import Outcome, Supervisor
from agentberth.local.toolslock import keep_lock, with_lock
from agentberth.local.volumes import link, materialise
from agentberth.manifest import Document, files_of, read
from agentberth.platform import platform_settings, with_own_network
from agentberth.replay.deck import Deck, Tape
from agentberth.replay.outcome import summarise, write_report
from agentberth.replay.played import without_played_credentials
from agentberth.terminal import Terminal, stderr, stdout

_FOLDER = ".agentberth"
_REPORTS = {name: f"{name}-report.json" for name in layout.PREPARING}


@dataclass(frozen=True)
class _Given:
    """What the manifests say: the one agent, and the objects that it may refer to."""

    file: Path
    agent: AgentType
    objects: Objects
    notices: tuple[str, ...]

    @classmethod
    def of(cls, paths: tuple[Path, ...], models: ModelChoice, tape: Tape | None) -> "_Given":
        documents = [document for file in files_of(list(paths)) for document in read(file)]
        document, agent = _only_agent(documents)
        agent = models.with_mocks(agent)
        if tape is not None:
            agent = without_played_credentials(agent, tape)
        objects, notices = with_keys(agent, Objects.of(documents), models.environment)
        return cls(document.file, agent, objects, notices)

    @property
    def folder(self) -> Path:
        """Where the agent's paths begin."""
        return self.file.resolve().parent


@dataclass(frozen=True)
class _Pod:
    """The Pod that the operator would make."""

    agent: AgentType
    template: Mapping[str, Any]
    config: Mapping[str, str]

    @classmethod
    def of(cls, agent: AgentType, platform: PlatformSettings, file: Path) -> "_Pod":
        try:
            return cls(agent, pod_template(agent, platform), pod_parts(agent, platform).config)
        except RenderError as error:
            raise ManifestError(f"{file}: {error}") from error

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.template["spec"]
        return spec

    def objects(self, given: Objects, ports: Ports, folder: Path) -> Objects:
        """`given` and the agent's own ConfigMap: the memory is on this machine, the lock of tools in `folder`."""
        held = with_lock(self.config, folder, self.agent.metadata.name)
        config = memory.with_port(self.agent, held, ports.of(layout.MEMORY_PORT))
        config |= PodKeys.new().data(config)
        return given.with_config_map(Identity.of(self.agent).config, config)


@dataclass(frozen=True)
class Session:
    """Everything that is decided before the first process starts."""

    agent: AgentType
    root: Path
    plans: tuple[LocalProcess, ...]
    grace_s: float
    quiet: bool
    ports: Ports
    interpreter: Interpreter | None
    notices: tuple[str, ...] = ()
    """What is less here than in a cluster."""
    deck: Deck | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)

    @classmethod
    def open(  # noqa: PLR0913 - the options of the command line
        cls,
        paths: tuple[Path, ...],
        *,
        settings: Path | None = None,
        command: str | None,
        arguments: tuple[str, ...],
        fresh: bool,
        quiet: bool,
        models: ModelChoice,
        tape: Tape | None = None,
    ) -> "Session":
        """Reads the manifests, lays out the Pod's folders and plans its processes.

        Raises ManifestError and CommandError, each with what to do.
        """
        given = _Given.of(paths, models, tape)
        root = given.folder / _FOLDER / given.agent.metadata.name
        local = localise(given.agent, given.folder, has_command=command is not None)
        platform = with_own_network(platform_settings(settings))
        pod = _Pod.of(memory.with_local_memory(local.agent), platform, given.file)
        ports = Ports.reserve((*(port for pair in SIDECAR_PORTS.values() for port in pair), layout.MEMORY_PORT))
        with ports.released_unless_used():
            objects = pod.objects(given.objects, ports, given.folder)
            _lay_out(root, fresh=fresh)
            materialise(pod.spec, root, objects)
            if local.folder:
                link(local.folder, Path(layout.relocate(layout.CONFIG_CODE, str(root))))
            words = split_command(command) if command else ()
            interpreter = isolate(local.interpreter, root / "python") if local.interpreter else None
            deck = Deck.of(tape, given.agent.metadata.name, root, ports, given.objects) if tape else None
            host = Host(
                root, objects, ports, interpreter, words, memory.keeps_data(local.agent), deck.ports if deck else None
            )
            plans = tuple(p for p in _plans(pod, host, arguments) if not tape or p.name not in tape.left_out_containers)
            version = interpreter.limitations if interpreter else ""
            less = (version, memory.limitations(local.agent), mounts.limitations(pod.spec["containers"][0], root))
            notices = (*given.notices, *local.notices, *filter(None, less))
            grace_s = pod.spec["terminationGracePeriodSeconds"]
            return cls(pod.agent, root, plans, grace_s, quiet, ports, interpreter, notices, deck, platform.prices)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the agent's folder, and the ports: two runs of one agent would share a workspace.

        Raises CommandError when another run has it.
        """
        with (self.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(
                    f"{self.agent.metadata.name} is already running from {self.root}", cure="stop that run first"
                ) from None
            try:
                yield
            finally:
                self.ports.release()
                if self.deck:
                    self.deck.ports.release()

    async def run(
        self, stop: asyncio.Event, grace_s: float | None, shown: Shown | None = None, approved: tuple[str, ...] = ()
    ) -> int:
        """Runs the Pod until its end, seen by `shown`, and returns the exit code for the shell."""
        results, notes = stdout(), stderr()
        if not self.quiet:
            self._announce(notes)
        output = RunOutput(self.plans, results, notes, stop, shown, quiet=self.quiet)
        supervisor = Supervisor(output.emit, stop, self.grace_s if grace_s is None else grace_s)
        desk = desk_of(self.agent, self.root, approved, notes, console=shown is not None and shown.console)
        if shown is not None:
            shown.source.desk = desk
        started = time.monotonic()
        async with (
            self.deck.running(stop) if self.deck else contextlib.nullcontext(),
            shown.following(supervisor, notes) if shown else contextlib.nullcontext(),
            deciding(desk),
        ):
            outcome = await supervisor.run(self.plans)
        keep_lock(self.root, self.root.parents[1], self.agent.metadata.name)
        if shown is not None:
            await shown.conclude(stop, notes)
        if self.deck:
            summarise(self.deck, None if self.quiet else notes)
        code = self._conclude(outcome, time.monotonic() - started, notes)
        return 128 + signal.SIGPIPE if output.unread else code

    def report_replay(self, file: Path) -> None:
        """Writes what `agentberth test` compares."""
        if self.deck is not None:
            write_report(file, self.deck, self.prices)

    def _announce(self, notes: Terminal) -> None:
        runtime = f", {self.interpreter.runtime} {self.interpreter.version}" if self.interpreter else ""
        notes.line(f"{notes.paint(self.agent.metadata.name, 'green')} in {self.root}{runtime}")
        for notice in self.notices:
            notes.line(f"{notes.paint('note:', 'yellow')} {notice}")

    def _conclude(self, outcome: Outcome, seconds: float, notes: Terminal) -> int:
        if outcome.cause == "init":
            raise self._preparation_error(outcome)
        if outcome.cause == "sidecar":
            raise CommandError(f"{outcome.process} ended with exit code {outcome.exit_code}, so the agent was stopped")
        if not self.quiet:
            ending = "stopped" if outcome.exit_code is None else f"ended with exit code {outcome.exit_code}"
            notes.line(notes.paint(f"{self.agent.metadata.name} {ending} after {seconds:.1f} s", "dim"))
        return outcome.exit_code or 0

    def _preparation_error(self, outcome: Outcome) -> CommandError:
        """The init container's own words, from its report."""
        try:
            report = InitReport.model_validate_json((self.root / _REPORTS.get(outcome.process, "")).read_bytes())
        except (OSError, ValidationError):
            report = None
        if report is None or report.error is None:
            return CommandError(f"{outcome.process} ended with exit code {outcome.exit_code} and no report")
        return CommandError(f"{report.error.step}: {report.error.cause}", cure=report.error.cure)


def _only_agent(documents: list[Document]) -> tuple[Document, AgentType]:
    found = [document for document in documents if document.is_agent_type]
    if len(found) != 1:
        names = ", ".join(str(d.file) for d in found) or "none in the files given"
        raise ManifestError(f"exactly one AgentType is needed; found: {names}")
    agent, findings = found[0].examine()
    for finding in findings:
        stderr().line(str(finding))
    if agent is None:
        raise ManifestError(f"{found[0].file}: is not valid", cure="correct the errors listed above")
    return found[0], agent


def _lay_out(root: Path, *, fresh: bool) -> None:
    try:
        if fresh:
            remove_tree(root / "shared")
        for folder in ("workspace", "tmp"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)  # other users of the machine have no business with the run's tokens and keys
        write_atomically(root.parent / ".gitignore", b"*\n")
        for name in _REPORTS.values():
            (root / name).unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{root}: cannot be written: {error.strerror}") from error


def _plans(pod: _Pod, host: Host, arguments: tuple[str, ...]) -> tuple[LocalProcess, ...]:
    *early, last = processes(pod.template, host)
    return (*(_with_report(plan, host.root) for plan in early), _with_arguments(last, arguments))


def _with_report(plan: LocalProcess, root: Path) -> LocalProcess:
    if plan.name not in _REPORTS:
        return plan
    extra = ("--report", str(root / _REPORTS[plan.name]), "--cache", str(root.parent / "cache"))
    return replace(plan, argv=(*plan.argv, *extra))


def _with_arguments(plan: LocalProcess, arguments: tuple[str, ...]) -> LocalProcess:
    return replace(plan, argv=(*plan.argv, *arguments))
