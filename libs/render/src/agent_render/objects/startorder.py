"""In which order the containers before the agent start, and who sees to it that the agent waits for them.

With an init container, sidecars start first and come up together while it prepares; it then awaits them, or the one
that runs setup commands after it does. That order has two reasons. The kubelet starts the next container a second
after the last one, and a startup probe in between costs one or two more; and no program that comes with a package
finds a sidecar's port free.
Without one, each sidecar has a startup probe: readiness alone does not order the start.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from agent_api import layout
from agent_render.identity import Manifest

_BOOT_S: Final = 60  # until liveness counts: on a node where everything starts at once, a program needs its time
_AWAITED: Final[Mapping[str, str]] = MappingProxyType(
    {
        layout.TOOLPROXY: f"http://127.0.0.1:{layout.TOOLPROXY_OPS_PORT}/readyz",
        layout.LLMGATEWAY: f"http://127.0.0.1:{layout.LLMGATEWAY_OPS_PORT}/readyz",
        layout.MEMORY: f"tcp://127.0.0.1:{layout.MEMORY_PORT}",
    }
)


def order(containers: Sequence[Manifest]) -> list[Manifest]:
    """The init containers of the Pod as they start."""
    sidecars = [container for container in containers if container["name"] in _AWAITED]
    preparing = [container for container in containers if container["name"] not in _AWAITED]
    if not preparing:
        return sidecars
    awaited = [word for sidecar in sidecars for word in ("--await", f"{sidecar['name']}={_AWAITED[sidecar['name']]}")]
    *first, last = preparing
    args = [*last.get("args", ()), *awaited]
    return [*map(_let_pass, sidecars), *first, {**last, **({"args": args} if args else {})}]


def _let_pass(sidecar: Manifest) -> Manifest:
    """One that nothing waits for: its liveness counts when it has had the time to come up."""
    kept = {key: value for key, value in sidecar.items() if key != "startupProbe"}
    return {**kept, "livenessProbe": {**sidecar["livenessProbe"], "initialDelaySeconds": _BOOT_S}}
