"""Finds in the last lines of a container's log what the hardening denied it.

An image that was built for root and a writable root ends at once where it has neither. Its log says at which path; the
kubelet keeps the end of it in the Pod's status. Nothing else of that text is ever repeated: an agent may have written a
secret there.
"""

import re
from typing import Final

from agent_api import layout

_REFUSED: Final = re.compile(r"(read-only file ?system)|permission denied|operation not permitted", re.IGNORECASE)
_PATH: Final = re.compile(r"(?<![\w./:-])/[\w.@+/-]{1,200}")
_LISTEN: Final = re.compile(r"\b(?:bind|listen)\w*\b.*?:(\d{1,4})\b", re.IGNORECASE)
_OURS: Final = (layout.SHARED, layout.TOOLS, layout.CONFIG)
_BASELINE: Final = "or set security.profile: baseline"


def explain_refusal(log: str) -> str:
    """What was refused and what to do, from the last line that tells of it; "" when none does."""
    for line in reversed(log.splitlines()):
        refused = _REFUSED.search(line)
        found = _explain(line, read_only=refused.group(1) is not None) if refused else ""
        if found:
            return found
    return ""


def _explain(line: str, *, read_only: bool) -> str:
    port = _LISTEN.search(line)
    if port and not read_only:
        return (
            f"it may not listen on port {port.group(1)}: use one above 1023, or add NET_BIND_SERVICE to "
            "container.securityContext.capabilities"
        )
    path = _PATH.search(line)
    if path is None:
        return ""
    name = path.group()
    if name.startswith(tuple(f"{each}/" for each in _OURS)):
        return f"{name} may not be written by the agent: use {layout.WORKSPACE} or {layout.TMP}"
    if read_only:
        return (
            f"it cannot write {name}, since its root file system is read-only: name the folder in "
            f"container.writablePaths, {_BASELINE}"
        )
    return (
        f"its user was denied {name}: set container.securityContext.runAsUser to the image's own, name the folder in "
        f"container.writablePaths, {_BASELINE}"
    )
