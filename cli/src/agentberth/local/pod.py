"""A rendered Pod template as local processes: same order, same environment, paths moved below a root."""

import os
import re
import shlex
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from agent_api import layout
from agent_api.layout import relocate
from agent_base.proxies import network_variables
from agent_render.containers.entry import without_init
from agentberth.errors import CommandError, ManifestError
from agentberth.local import memory
from agentberth.local.interpreter import Interpreter
from agentberth.local.mounts import writable_folders
from agentberth.local.objects import Objects
from agentberth.local.ports import Ports
from agentberth.local.sidecarlog import least_level

Manifest = Mapping[str, Any]

# Programs of the platform's containers. Each takes --root, below which the Pod's paths are.
PROGRAMS: Mapping[str, str] = MappingProxyType(
    {
        layout.INITENV: "agent-initenv",
        layout.SETUP: "agent-initenv",
        layout.TOOLPROXY: "agent-toolproxy",
        layout.LLMGATEWAY: "agent-llmgateway",
    }
)
# API and ops port of each sidecar.
SIDECAR_PORTS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        layout.TOOLPROXY: (layout.TOOLPROXY_PORT, layout.TOOLPROXY_OPS_PORT),
        layout.LLMGATEWAY: (layout.LLMGATEWAY_PORT, layout.LLMGATEWAY_OPS_PORT),
    }
)

# What a process here needs of the machine, as a container has it from its node: never the user's secrets.
_INHERITED = ("LANG", "LC_ALL", "TZ", "TERM", "NO_COLOR")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_HERE = "localhost,127.0.0.1,::1"
_POD_PATH = re.compile(r"(?<![\w./~-])/(?:shared|tools|workspace|tmp|etc/agentberth)(?=[/:\s\"',;]|$)")

LONGEST_START_S: Final = 300.0  # installing tools takes its time
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_REFERENCE = re.compile(r"\$\((\w+)\)")  # the kubelet's: to a variable that stands before


@dataclass(frozen=True)
class Probe:
    """What tells that a sidecar is up: an http:// address that succeeds, or a tcp:// one that can be connected to."""

    url: str
    patience_s: float = LONGEST_START_S


@dataclass(frozen=True)
class LocalProcess:
    """One container of the Pod as a process."""

    name: str
    role: Literal["init", "sidecar", "agent"]
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    startup: Probe | None = None
    writable: tuple[str, ...] = ()
    """The only folders that an agent may write to; none: no such limit."""


@dataclass(frozen=True)
class Host:
    """Where and with what the Pod runs here."""

    root: Path
    objects: Objects
    ports: Ports
    interpreter: Interpreter | None = None
    command: tuple[str, ...] = ()
    """Replaces a container agent's image."""
    keep_memory: bool = False
    """Whether the memory's data is there in the next run."""
    agent_ports: Ports | None = None
    """Where the agent finds the sidecars, when something stands before them."""
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))


def processes(template: Manifest, host: Host) -> tuple[LocalProcess, ...]:
    """The Pod's containers in the order they start; the agent is the last.

    Raises CommandError when a container cannot run here, ManifestError when a reference leads nowhere.
    """
    pod = template["spec"]
    early = tuple(_early_process(c, host) for c in pod.get("initContainers", ()))
    return (*early, _agent_process(pod["containers"][0], template, host))


def _early_process(container: Manifest, host: Host) -> LocalProcess:
    return _memory(container, host) if container["name"] == layout.MEMORY else _platform_process(container, host)


def _memory(container: Manifest, host: Host) -> LocalProcess:
    """Its program is none of ours, so it takes no --root; that it can be connected to is all that is awaited."""
    port = host.ports.of(layout.MEMORY_PORT)
    return LocalProcess(
        name=layout.MEMORY,
        role="sidecar",
        argv=memory.server_command(container, port, host.root, keep=host.keep_memory),
        env=_machine(host),
        cwd=host.root,
        startup=Probe(f"tcp://127.0.0.1:{port}", patience_s=60),
    )


def _platform_process(container: Manifest, host: Host) -> LocalProcess:
    name = container["name"]
    program = _program(PROGRAMS[name])
    sidecar = container.get("restartPolicy") == "Always"
    own = container.get("args", ()) if sidecar else _without_awaits(container.get("args", ()))
    arguments = [_move(a, host.root) for a in (*container.get("command", ())[1:], *own)]
    return LocalProcess(
        name=name,
        role="sidecar" if sidecar else "init",
        argv=(program, "--root", str(host.root), *_listening(name, host.ports), *arguments),
        env={
            **_machine(host),
            **_variables(container, {}, host),
            "PATH": f"{_path('', host.interpreter)}:{Path(sys.executable).parent}",
        },
        cwd=host.root,
        startup=_probe(container.get("readinessProbe"), host.ports),
    )


def _without_awaits(arguments: Sequence[str]) -> list[str]:
    """Sidecars are awaited by the supervisor here."""
    start = arguments.index("--await") if "--await" in arguments else len(arguments)
    return list(arguments[:start])


def _agent_process(container: Manifest, template: Manifest, host: Host) -> LocalProcess:
    argv = _command(container, host)
    if not argv or (host.interpreter is None and not host.command):
        raise CommandError(
            f"the agent is the image {container['image']}, which needs a container runtime",
            cure='name a program to run instead: agentberth run agent.yaml --command "python main.py"',
        )
    program = host.interpreter.program if host.interpreter and argv[0] in {"python", "node"} else argv[0]
    seen = replace(host, ports=host.agent_ports or host.ports)
    env = {**_machine(host), **_variables(container, template, seen)}
    env["PATH"] = _path(env.get("PATH", ""), host.interpreter)
    return LocalProcess(
        name=container["name"],
        role="agent",
        argv=(program, *argv[1:]),
        env=env,
        cwd=_working_dir(container, host),
        writable=writable_folders(container, host.root),
    )


def _working_dir(container: Manifest, host: Host) -> Path:
    """Where the container starts, if it is a folder of the Pod; a folder of the image is not here."""
    moved = Path(_move(container.get("workingDir", layout.WORKSPACE), host.root))
    return moved if moved.is_relative_to(host.root) else host.root / "workspace"


def _command(container: Manifest, host: Host) -> tuple[str, ...]:
    """The container's words, or those of --command: of these one that names a file of this machine means that file."""
    if host.command:
        return tuple(
            str(Path(word).absolute()) if Path(word).is_file() else _move(word, host.root) for word in host.command
        )
    words = without_init((*container.get("command", ()), *container.get("args", ())))
    return tuple(_move(word, host.root) for word in words)


def _machine(host: Host) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    inherited |= _way_out()
    return {**inherited, "HOME": str(host.root / "tmp"), "TMPDIR": str(host.root / "tmp"), "PYTHONNOUSERSITE": "1"}


def _way_out() -> dict[str, str]:
    """The shell's own proxies and authorities; the Pod's parts are on this machine, and never asked of a proxy."""
    found = network_variables(os.environ)
    if not any(name in found or name.lower() in found for name in _PROXIES):
        return found
    excepted = found.get("no_proxy") or found.get("NO_PROXY", "")
    direct = ",".join(filter(None, (excepted, _HERE)))
    return {**found, "NO_PROXY": direct, "no_proxy": direct}


def _path(rendered: str, interpreter: Interpreter | None = None) -> str:
    """The Pod's own folders first, then the interpreter's, then this machine's."""
    own = [folder for folder in rendered.split(":") if "/.agentberth/" in folder]
    runtime = [str(Path(interpreter.program).parent)] if interpreter else []
    return ":".join((*own, *runtime, os.environ.get("PATH", os.defpath)))


def _variables(container: Manifest, template: Manifest, host: Host) -> dict[str, str]:
    found = dict(_env_from(container, host))
    for entry in container.get("env", ()):
        value: str | None = entry["value"] if "value" in entry else _referred(entry, template, host)
        if value is not None:
            known = _REFERENCE.sub(lambda match: found.get(match[1], match[0]), value)
            found[entry["name"]] = host.ports.rewrite(_move(known, host.root))
    return found


def _env_from(container: Manifest, host: Host) -> Iterator[tuple[str, str]]:
    """Variables of whole Secrets and ConfigMaps; a key that is no variable's name is passed over, as by the kubelet."""
    for source in container.get("envFrom", ()):
        kind, field = ("Secret", "secretRef") if "secretRef" in source else ("ConfigMap", "configMapRef")
        reference = source[field]
        if reference.get("optional") and (kind, reference["name"]) not in host.objects.data:
            continue
        for key, value in host.objects.get(kind, reference["name"]).items():
            if _VARIABLE.fullmatch(name := f"{source.get('prefix', '')}{key}"):
                yield name, value.decode(errors="replace")


def _referred(entry: Manifest, template: Manifest, host: Host) -> str | None:
    source: Manifest = entry.get("valueFrom", {})
    for kind, key in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
        if key in source:
            return _key(kind, source[key], entry["name"], host)
    path = source.get("fieldRef", {}).get("fieldPath", "")
    labels = template.get("metadata", {}).get("labels", {})
    name = labels.get("app.kubernetes.io/instance", "")
    known: dict[str, str] = {"metadata.name": name, "metadata.namespace": "default", "status.podIP": "127.0.0.1"}
    known["metadata.uid"] = host.run_id
    if path not in known:
        raise ManifestError(f"variable {entry['name']}: the field {path} is only known in a cluster")
    return known[path]


def _key(kind: str, reference: Manifest, variable: str, host: Host) -> str | None:
    optional = reference.get("optional", False)
    if optional and (kind, reference["name"]) not in host.objects.data:
        return None
    value = host.objects.get(kind, reference["name"]).get(reference["key"])
    if value is not None:
        return value.decode(errors="replace")
    if optional:
        return None
    raise ManifestError(f'variable {variable}: the {kind} "{reference["name"]}" has no key "{reference["key"]}"')


def _move(text: str, root: Path) -> str:
    return _POD_PATH.sub(lambda match: relocate(match.group(), str(root)), text)


def _program(name: str) -> str:
    beside = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if beside is None:
        raise CommandError(
            f"{name} is not installed", cure="install agentberth with all its parts: uv sync --all-packages"
        )
    return beside


def _listening(name: str, ports: Ports) -> tuple[str, ...]:
    """Where a sidecar listens, and what it logs for `agentberth.local.sidecarlog`."""
    if name not in SIDECAR_PORTS:
        return ()
    api, ops = (str(ports.of(port)) for port in SIDECAR_PORTS[name])
    least = least_level(os.environ)
    level = "info" if name == layout.TOOLPROXY and least != "debug" else least  # calls of tools are always shown
    log = ("--log-format", "json", "--log-level", level)
    return ("--port", api, "--ops-host", "127.0.0.1", "--ops-port", ops, *log)


def _probe(probe: Manifest | None, ports: Ports) -> Probe | None:
    if probe is None or "httpGet" not in probe:
        return None
    get = probe["httpGet"]
    return Probe(f"http://127.0.0.1:{ports.of(get['port'])}{get.get('path', '/')}")


def split_command(text: str) -> tuple[str, ...]:
    """The words of a --command option.

    Raises CommandError for unbalanced quotes.
    """
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise CommandError(f"--command: {error}".lower()) from error
