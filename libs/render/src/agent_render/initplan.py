"""AgentType -> InitPlan: what the init container prepares, and from which mounted files."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from agent_api import layout
from agent_api.agenttype import Agent, AgentType, Environment, File, Sdk, Source
from agent_api.initplan import (
    GitCode,
    InitPlan,
    LocalCode,
    PackageIndex,
    PlannedFile,
    PlannedGlue,
    PlannedPackages,
    Runtime,
    SetupStep,
)
from agent_render.errors import UnsupportedError
from agent_render.settings import PlatformSettings

_LOCK_FILES = {"python": "requirements.txt", "nodejs": "package-lock.json"}
_GLUE_RUNTIMES: dict[str, Runtime] = {".py": "python", ".js": "nodejs", ".cjs": "nodejs", ".mjs": "nodejs"}


def needs_preparation(agent: AgentType) -> bool:
    """True when the Pod needs the init container: a plain image without `environment` starts at once."""
    environment = agent.spec.agent.environment
    asked = environment and (
        environment.sdk,
        environment.glue_code,
        environment.files,
        environment.setup,
        environment.volume,
        environment.image,
    )
    return agent.spec.agent.runtime is not None or any(asked or ())


def init_plan(agent: AgentType, settings: PlatformSettings) -> InitPlan:
    """The plan of `agent`.

    Raises UnsupportedError for a local folder that a Pod cannot see.
    """
    spec = agent.spec.agent
    environment = spec.environment or Environment()
    return InitPlan(
        agent=agent.metadata.name,
        files=tuple(_planned_file(file) for file in environment.files),
        code=_planned_code(spec.code.source) if spec.code else None,
        packages=_planned_packages(spec, settings),
        glue=_planned_glue(environment),
        setup=tuple(
            SetupStep(name=s.name, command=s.command, timeout_seconds=s.timeout_seconds) for s in environment.setup
        ),
        index=PackageIndex(
            python_url=settings.python_index_url,
            npm_registry=settings.npm_registry,
            folder=layout.CONFIG_INDEX if spec.sdk and spec.sdk.index_secret else None,
        ),
    )


def package_runtime(spec: Agent) -> Runtime | None:
    """The runtime whose packages are installed, or None when there are none to install."""
    sdk = spec.sdk
    if sdk is not None and (sdk.packages or sdk.lock_config_map):
        return sdk.runtime or spec.runtime
    return spec.runtime if spec.package or _reads_code(spec) else None


def glue_runtime(spec: Agent) -> Runtime | None:
    """The runtime that loads the glue code, or None without glue code."""
    glue = _planned_glue(spec.environment) if spec.environment else None
    return glue.runtime if glue else None


def mounted_keys(environment: Environment) -> Iterator[tuple[str, str]]:
    """(ConfigMap, key) of each file that comes from a ConfigMap."""
    for file in environment.files:
        if file.config_map_key_ref:
            yield file.config_map_key_ref.name, file.config_map_key_ref.key


def _planned_file(file: File) -> PlannedFile:
    path = f"{layout.SHARED}/{file.path}"
    if file.config_map_key_ref is None:
        return PlannedFile(path=path, content=file.content)
    reference = file.config_map_key_ref
    return PlannedFile(path=path, source=f"{layout.CONFIG_FILES}/{reference.name}/{reference.key}")


def _planned_code(source: Source) -> GitCode | LocalCode:
    path = (source.path or "").strip("/")
    if source.type == "git":
        return GitCode(
            repository=source.repository or "",
            revision=source.revision or "HEAD",
            path=path,
            submodules=source.submodules,
            lfs=source.lfs,
            credentials=layout.CONFIG_GIT if source.credentials_secret else None,
        )
    if not source.names_folder:
        return LocalCode(folder=str(PurePosixPath(layout.CONFIG_CODE) / path))
    if not (source.path or "").startswith("/"):
        raise UnsupportedError(
            f"agent.code.source.path {source.path!r} is a folder beside the manifest, which a Pod cannot see: "
            "use a git source, a configMap or a persistentVolumeClaim (or `agentberth run` on a laptop)"
        )
    return LocalCode(folder=source.path or "")


def _planned_packages(spec: Agent, settings: PlatformSettings) -> PlannedPackages | None:
    runtime, sdk = package_runtime(spec), spec.sdk or Sdk()
    if runtime is None:
        return None
    version = sdk.version or spec.runtime_version
    return PlannedPackages(
        runtime=runtime,
        version=version or getattr(settings.runtimes, runtime).default_version,
        requirements=((spec.package.requirement,) if spec.package else ()) + sdk.packages,
        lock=f"{layout.CONFIG_LOCK}/{_LOCK_FILES[runtime]}" if sdk.lock_config_map else None,
        from_code=_reads_code(spec),
        allow_builds=sdk.allow_builds,
        allow_scripts=sdk.allow_scripts,
    )


def _reads_code(spec: Agent) -> bool:
    """Whether the packages that the code names itself are installed."""
    return spec.code is not None and (spec.sdk is None or spec.sdk.from_code == "Auto")


def _planned_glue(environment: Environment) -> PlannedGlue | None:
    if environment.glue_code is None:
        return None
    source = environment.glue_code.source
    return PlannedGlue(runtime=_GLUE_RUNTIMES[PurePosixPath(source).suffix], source=source)
