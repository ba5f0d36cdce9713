"""Paths in the agent container where something may be mounted, in one spelling only.

A path of another spelling (`//shared`, `/x/../shared`, `/shared/.`) names the same folder to the kernel and another to
a rule that compares text, so it is refused as a whole.
"""

from typing import Annotated

from pydantic import StringConstraints

from agent_api import layout
from agent_api.agenttype.rule import Matches

_PART = r"([^/.:][^/:]*|\.[^/.:][^/:]*|\.\.[^/:]+)"

PLATFORM_PATHS = (layout.SHARED, layout.TOOLS, layout.WORKSPACE, layout.TMP, layout.CONFIG, layout.TRUST)
KERNEL_PATHS = ("/proc", "/sys", "/dev")
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - browsers and trainers need a larger one

MountPath = Annotated[
    str,
    StringConstraints(min_length=2, max_length=512),
    Matches(
        rf"(/{_PART})+", "must be an absolute path such as /data: no ':', no '//', no '/' at its end, no '.' or '..'"
    ),
]

_OWNED = "|".join(path.removeprefix("/") for path in (*PLATFORM_PATHS, *KERNEL_PATHS))
OWNED_PATTERN = f"^/({_OWNED})(/.*)?$"
OWNED_MESSAGE = (
    f"{', '.join(PLATFORM_PATHS)} are mounted by the platform, and {', '.join(KERNEL_PATHS)} are the kernel's"
    f" (but for {SHARED_MEMORY}): choose another path"
)


def is_free(expression: str) -> str:
    """CEL that is true when the path that `expression` gives belongs neither to the platform nor to the kernel."""
    return f"({expression} == '{SHARED_MEMORY}' || !{expression}.matches('{OWNED_PATTERN}'))"


def free(path: str) -> bool:
    """The same in Python."""
    owned = (*PLATFORM_PATHS, *KERNEL_PATHS)
    return path == SHARED_MEMORY or not any(path == folder or path.startswith(f"{folder}/") for folder in owned)
