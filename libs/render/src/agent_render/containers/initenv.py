"""The init container: prepares /shared before the agent starts.

An author's setup commands have a container of their own after it. Packages, which others wrote, are in place by then
and may run: the Secrets of git and of the index are mounted only where nothing of a package is executed.
"""

from agent_api import layout
from agent_api.agenttype import Agent, AgentType, Environment, Source
from agent_render.containers.sidecar import secret_volume
from agent_render.identity import INIT_HASH, Identity, Manifest, fingerprint
from agent_render.initplan import glue_runtime, init_plan, mounted_keys, needs_preparation, package_runtime
from agent_render.parts import outside
from agent_render.parts.hardening import restricted_context
from agent_render.parts.part import PodPart, empty_dir, mount, scratch, variable
from agent_render.parts.sizes import resources
from agent_render.settings import PlatformSettings


def part(agent: AgentType, settings: PlatformSettings) -> PodPart:
    """The init container, the shared volume, and what the agent sees of it."""
    if not needs_preparation(agent):
        return PodPart()
    spec = agent.spec.agent
    environment = spec.environment or Environment()
    plan = init_plan(agent, settings).model_dump_json(indent=2)
    size = environment.volume.size_limit if environment.volume else settings.shared_size
    sources = _sources(agent, environment)
    containers = [_container(agent, settings, layout.INITENV, sources)]
    if environment.setup:
        phases = ((containers[0], "prepare"), (_container(agent, settings, layout.SETUP, sources[:1]), "setup"))
        containers = [{**container, "args": ["--phase", phase]} for container, phase in phases]
    scratches = [scratch(container["name"], settings.tmp_size)[0] for container in containers]
    return PodPart(
        init_containers=tuple(containers),
        volumes=(empty_dir("shared", size), *scratches, *(volume for volume, _ in sources)),
        agent_mounts=(mount("shared", layout.SHARED),),
        agent_env=_agent_env(spec),
        agent_path=_agent_path(spec),
        config={layout.INIT_KEY: plan},
        annotations={INIT_HASH: fingerprint(plan)},
    )


def _container(
    agent: AgentType, settings: PlatformSettings, name: str, sources: tuple[tuple[Manifest, str], ...]
) -> Manifest:
    """A container that prepares. That of the author's setup commands is given none of the Secrets."""
    environment = agent.spec.agent.environment or Environment()
    return {
        "name": name,
        "image": environment.image or settings.images.initenv,
        "imagePullPolicy": settings.images.pull_policy,
        **({"env": list(env)} if (env := outside.variables(settings)) else {}),
        "resources": resources(agent, settings, "init"),
        "securityContext": restricted_context(agent, settings, layout.INITENV_UID),
        "terminationMessagePath": layout.TERMINATION_LOG,
        "volumeMounts": [
            mount("shared", layout.SHARED, read_only=False),
            scratch(name, settings.tmp_size)[1],
            *(mount(volume["name"], path) for volume, path in sources),
            *outside.mounts(settings),
        ],
    }


def _sources(agent: AgentType, environment: Environment) -> tuple[tuple[Manifest, str], ...]:
    """Volumes the init container reads, with the folder each is mounted on; the first is the plan's."""
    spec = agent.spec.agent
    init = _config_map("init", Identity.of(agent).config, [layout.INIT_KEY])
    found: list[tuple[Manifest, str]] = [(init, layout.CONFIG_INIT)]
    for number, name in enumerate(dict.fromkeys(name for name, _ in mounted_keys(environment))):
        keys = list(dict.fromkeys(key for owner, key in mounted_keys(environment) if owner == name))
        found.append((_config_map(f"files-{number}", name, keys), f"{layout.CONFIG_FILES}/{name}"))
    if spec.code:
        found += _code_sources(spec.code.source)
    if environment.sdk and environment.sdk.lock_config_map:
        found.append((_config_map("lock", environment.sdk.lock_config_map), layout.CONFIG_LOCK))
    if environment.sdk and environment.sdk.index_secret:
        found.append((secret_volume("index", environment.sdk.index_secret), layout.CONFIG_INDEX))
    return tuple(found)


def _code_sources(source: Source) -> list[tuple[Manifest, str]]:
    if source.config_map:
        return [(_config_map("code", source.config_map), layout.CONFIG_CODE)]
    if source.persistent_volume_claim:
        claim = {"claimName": source.persistent_volume_claim, "readOnly": True}
        return [({"name": "code", "persistentVolumeClaim": claim}, layout.CONFIG_CODE)]
    if source.credentials_secret:
        return [(secret_volume("git", source.credentials_secret), layout.CONFIG_GIT)]
    return []


def _agent_env(spec: Agent) -> tuple[Manifest, ...]:
    glue, packages = glue_runtime(spec), package_runtime(spec)
    python = [layout.SHARED_GLUE] * (glue == "python") + [layout.SHARED_SDK_PYTHON] * (packages == "python")
    env = []
    if python:
        env.append(variable("PYTHONPATH", ":".join(python)))
    if packages == "nodejs":
        env.append(variable("NODE_PATH", f"{layout.SHARED_SDK_NODEJS}/node_modules"))
    if glue == "nodejs":
        env.append(variable("NODE_OPTIONS", f"--require {layout.SHARED_GLUE}/preload.cjs"))
    return tuple(env)


def _agent_path(spec: Agent) -> tuple[str, ...]:
    packages = package_runtime(spec)
    programs = {
        "python": (f"{layout.SHARED_SDK_PYTHON}/bin",),
        "nodejs": (f"{layout.SHARED_SDK_NODEJS}/node_modules/.bin",),
    }
    return (layout.SHARED_BIN, *(programs[packages] if packages else ()))


def _config_map(volume: str, name: str, keys: list[str] | None = None) -> Manifest:
    items = {"items": [{"key": key, "path": key} for key in keys]} if keys else {}
    return {"name": volume, "configMap": {"name": name, **items}}
