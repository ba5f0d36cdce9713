"""The agent container: image, command, environment, mounts."""

from agent_api import layout
from agent_api.agenttype import Agent, AgentType, Environment, Variable
from agent_api.agenttype.environment import JOINED_VARIABLES
from agent_api.initplan import Runtime
from agent_render.containers.authorvolumes import mounts as own_mounts
from agent_render.containers.entry import below_init
from agent_render.identity import Identity, Manifest
from agent_render.parts import outside, workspace
from agent_render.parts.hardening import agent_context
from agent_render.parts.monitoring import trace_variables
from agent_render.parts.part import PodPart, empty_dir, mount, scratch, variable
from agent_render.parts.sizes import resources
from agent_render.settings import PlatformSettings, RuntimeImage

# The PATH of the platform's runtime images. A container agent keeps its image's own: see docs/adr.
_SEPARATORS = {"NODE_OPTIONS": " ", "NO_PROXY": ",", "no_proxy": ","}
RUNTIME_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def volumes(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """The agent's own volumes: workspace, /tmp and the writable paths."""
    tmp_volume, _ = scratch("agent", settings.tmp_size)
    return (
        workspace.volume(agent, settings),
        tmp_volume,
        *(empty_dir(f"writable-{at}", settings.tmp_size) for at, _ in enumerate(_writable_paths(agent))),
    )


def container(agent: AgentType, settings: PlatformSettings, parts: PodPart) -> Manifest:
    """The main container, with what the other parts give it."""
    spec = agent.spec.agent
    pull_policy = spec.container.pull_policy if spec.container else None
    optional = {
        "imagePullPolicy": pull_policy,
        "command": list(_started(agent, command(agent, settings))),
        "args": list(spec.args),
        "workingDir": spec.working_dir or _folder(spec),
        "ports": [port.model_dump(mode="json") for port in spec.ports],
        **_probes(agent),
    }
    return {
        "name": spec.name,
        "image": image(agent, settings),
        **{key: value for key, value in optional.items() if value},
        **_env_from(agent),
        "env": list(environment(agent, settings, parts)),
        "resources": resources(agent, settings, "agent"),
        "securityContext": agent_context(agent, settings),
        "terminationMessagePolicy": "FallbackToLogsOnError",  # the operator looks there for what the hardening refused
        "volumeMounts": list(_mounts(agent, settings, parts)),
    }


def _started(agent: AgentType, words: tuple[str, ...]) -> tuple[str, ...]:
    """An image of the runtime table has a shell; an image of the author's own is started as it asks for."""
    spec = agent.spec.agent
    return below_init(words) if words and spec.runtime and spec.own_image is None else words


def image(agent: AgentType, settings: PlatformSettings) -> str:
    """The AgentType's own image, or the runtime table's for its code."""
    spec = agent.spec.agent
    if spec.own_image or spec.runtime is None:
        return spec.own_image or ""
    runtime = _runtime(spec.runtime, settings)
    version = spec.runtime_version or runtime.default_version
    return runtime.versions.get(version) or runtime.image.format(version=version)


def command(agent: AgentType, settings: PlatformSettings) -> tuple[str, ...]:
    """The command line; empty means the image's own."""
    spec = agent.spec.agent
    if spec.command or spec.code is None:
        return spec.command or (spec.package.program if spec.package else ())
    runtime = _runtime(spec.code.runtime, settings)
    file, *arguments = spec.code.entrypoint or runtime.entrypoint
    if spec.working_dir and not file.startswith(("/", "-")):
        file = f"{layout.SHARED_CODE}/{file}"  # it is a file of the code, wherever the agent starts
    return (*runtime.command, file, *arguments)


def environment(agent: AgentType, settings: PlatformSettings, parts: PodPart) -> tuple[Manifest, ...]:
    """The platform's variables, then the user's; a user's variable replaces the platform's of that name."""
    identity, own = Identity.of(agent), (agent.spec.agent.environment or Environment()).variables
    platform = [
        variable("AGENT_NAME", identity.name),
        variable("AGENT_NAMESPACE", identity.namespace),
        variable("AGENT_WORKSPACE", layout.WORKSPACE),
        *workspace.home(agent),
        variable("PYTHONPYCACHEPREFIX", f"{layout.TMP}/pycache"),
        *((variable("PYTHONUNBUFFERED", "1"),) if agent.spec.agent.runtime else ()),
        *((variable("HOME", layout.WORKSPACE),) if agent.spec.agent.package else ()),
        *outside.exceptions(item.name for item in own),
        *parts.agent_env,
        *trace_variables(agent, settings, "agent"),
        *_path(agent, parts),
    ]
    merged = {entry["name"]: entry for entry in platform}
    for item in own:
        merged[item.name] = _merge(merged.get(item.name), item)
    return tuple(merged.values())


def _env_from(agent: AgentType) -> Manifest:
    """Whole Secrets and ConfigMaps. To the kubelet, `env` wins over them."""
    sources = (agent.spec.agent.environment or Environment()).env_from
    dumped = [source.model_dump(mode="json", exclude_none=True) for source in sources]
    plain = [{key: value for key, value in source.items() if value} for source in dumped]
    return {"envFrom": plain} if plain else {}


def _merge(platform: Manifest | None, own: Variable) -> Manifest:
    if own.value_from is not None:
        return {"name": own.name, "valueFrom": own.value_from.model_dump(mode="json", exclude_none=True)}
    value = own.value or ""
    if platform and own.name in JOINED_VARIABLES:
        value = _SEPARATORS.get(own.name, ":").join(filter(None, (platform["value"], value)))
    return variable(own.name, value)


def _path(agent: AgentType, parts: PodPart) -> tuple[Manifest, ...]:
    """PATH, where we know the image's own: in a runtime image, or when the user says it."""
    own = (agent.spec.agent.environment or Environment()).variables
    if any(v.name == "PATH" for v in own):
        return (variable("PATH", ":".join(parts.agent_path)),) if parts.agent_path else ()
    if agent.spec.agent.runtime is None or agent.spec.agent.own_image:
        return ()
    return (variable("PATH", ":".join((*parts.agent_path, RUNTIME_PATH))),)


def _mounts(agent: AgentType, settings: PlatformSettings, parts: PodPart) -> tuple[Manifest, ...]:
    _, tmp_mount = scratch("agent", settings.tmp_size)
    return (
        *parts.agent_mounts,
        mount("workspace", layout.WORKSPACE, read_only=False),
        tmp_mount,
        *(mount(f"writable-{at}", path, read_only=False) for at, path in enumerate(_writable_paths(agent))),
        *own_mounts(agent),
    )


def _writable_paths(agent: AgentType) -> tuple[str, ...]:
    spec = agent.spec.agent.container
    return spec.writable_paths if spec else ()


def _probes(agent: AgentType) -> Manifest:
    probes = agent.spec.agent.probes
    if probes is None:
        return {}
    dumped = probes.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    return {f"{kind}Probe": probe for kind, probe in dumped.items()}


def _folder(spec: Agent) -> str | None:
    """Where the agent starts; a program that others publish works on files, and keeps its own at home."""
    if spec.package:
        return layout.WORKSPACE
    return layout.SHARED_CODE if spec.code else None


def _runtime(runtime: Runtime, settings: PlatformSettings) -> RuntimeImage:
    table: RuntimeImage = getattr(settings.runtimes, runtime)
    return table
