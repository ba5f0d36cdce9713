"""The AgentType as this machine can run it: folders beside the manifest, and the runtime that is here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent_api import layout
from agent_api.agenttype import Agent, AgentType
from agent_api.initplan import Runtime
from agent_render.settings.platform import RuntimeImage, Runtimes
from agentberth.errors import ManifestError
from agentberth.local.interpreter import Interpreter, find


@dataclass(frozen=True)
class Localised:
    """An AgentType that a Pod on this machine can carry."""

    agent: AgentType
    interpreter: Interpreter | None = None
    """None for a container agent without packages: its command brings its own."""
    folder: Path | None = None
    """The code beside the manifest; the Pod sees it at `layout.CONFIG_CODE`."""

    notices: tuple[str, ...] = ()
    """What is another here than in a Pod, of what the manifest asks for."""


def localise(agent: AgentType, base: Path, *, has_command: bool) -> Localised:
    """`agent` with packages for the interpreter found; `base` is the manifest's folder.

    Raises ManifestError for a folder that is not there, CommandError when no interpreter is installed.
    """
    spec = agent.spec.agent
    runtime = _runtime(agent)
    if runtime is None or (spec.runtime is None and not has_command):
        return Localised(agent, notices=tuple(_volumes(agent)))
    interpreter = find(runtime, _version(agent))
    update: dict[str, object] = {}
    folder = None
    if spec.code is not None:
        source = spec.code.source
        if source.names_folder:
            folder = _folder(base, source.path or "")
            _refuse_missing_entry(spec, folder)
            source = source.model_copy(update={"path": layout.CONFIG_CODE})
        update["code"] = spec.code.model_copy(update={"source": source, "version": interpreter.version})
    if spec.package is not None:
        update["package"] = spec.package.model_copy(update={"version": interpreter.version})
    if spec.environment is not None and spec.environment.sdk is not None:
        sdk = spec.environment.sdk.model_copy(update={"version": interpreter.version})
        update["environment"] = spec.environment.model_copy(update={"sdk": sdk})
    prepared = agent.spec.model_copy(update={"agent": spec.model_copy(update=update)})
    return Localised(agent.model_copy(update={"spec": prepared}), interpreter, folder, tuple(_volumes(agent)))


def _volumes(agent: AgentType) -> Iterator[str]:
    paths = ", ".join(mount.mount_path for mount in agent.spec.agent.volume_mounts)
    if paths:
        yield f"agent.volumes are not mounted here: {paths} is whatever this machine has there"


def _runtime(agent: AgentType) -> Runtime | None:
    spec = agent.spec.agent
    if spec.runtime is not None:
        return spec.runtime
    return spec.sdk.runtime if spec.sdk else None


def _version(agent: AgentType) -> str | None:
    spec = agent.spec.agent
    return spec.runtime_version or (spec.sdk.version if spec.sdk else None)


def _folder(base: Path, path: str) -> Path:
    folder = (base / path).resolve()
    if not folder.is_dir():
        raise ManifestError(
            f"agent.code.source.path: there is no folder {folder}", cure="the path is relative to the manifest"
        )
    return folder


def _refuse_missing_entry(agent: Agent, folder: Path) -> None:
    """Raises ManifestError where the runtime would be started with a file that nothing makes."""
    code, environment = agent.code, agent.environment
    if code is None or agent.command or (environment is not None and (environment.setup or environment.files)):
        return
    default: RuntimeImage = getattr(Runtimes(), code.runtime)
    name = next(iter(code.entrypoint or default.entrypoint))
    if name.startswith("-") or (folder / name).exists():
        return
    there = sorted(file.name for file in folder.iterdir() if file.suffix in {".py", ".js", ".mjs", ".cjs"})
    cure = f"agent.code.entrypoint: [{there[0]}]" if there else f"put {name} there, or name another file in entrypoint"
    raise ManifestError(f"agent.code: there is no {name} in {folder}, which is what would be started", cure=cure)
