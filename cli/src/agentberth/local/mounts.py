"""Which folders the agent may write to: those of its Pod, as far as this machine can hold it to them."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agent_api.layout import relocate
from agent_toolproxy.process import landlock

_OF_THE_MACHINE: Final = ("/dev", "/proc", tempfile.gettempdir())


def writable_folders(container: Mapping[str, Any], root: Path) -> tuple[str, ...]:
    """The only folders that a process in the place of `container` may write to; none where nothing holds it to them."""
    if _why_not_held(container):
        return ()
    mounted = (m["mountPath"] for m in container.get("volumeMounts", ()) if not m.get("readOnly"))
    return (*(relocate(path, str(root)) for path in mounted), *_OF_THE_MACHINE)


def limitations(container: Mapping[str, Any], root: Path) -> str:
    """What is less than in a Pod, as a sentence; "" when nothing is."""
    why = _why_not_held(container)
    if not why and root.resolve().is_relative_to(Path(tempfile.gettempdir()).resolve()):
        why = f"the manifest is below {tempfile.gettempdir()}, where every program may write"
    return f"folders that are read-only in the Pod are writable here, because {why}" if why else ""


def _why_not_held(container: Mapping[str, Any]) -> str:
    if not container.get("securityContext", {}).get("readOnlyRootFilesystem"):
        return "the agent asks for a writable root"
    return "" if landlock.is_available() else "this kernel has no Landlock"
