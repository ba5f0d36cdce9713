"""Where claims of memories and workspaces come from."""

from collections.abc import Iterator
from typing import Final

from agentberth.preflight.finding import Finding, Plain, Surveyed

_DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"


def check_storage(surveyed: Surveyed) -> Iterator[Finding]:
    """Whether the class that the platform or an agent names exists, else whether there is a default."""
    classes = {one["metadata"]["name"]: one for one in surveyed.kubectl.select("storageclasses")}
    named = {str(surveyed.settings.get("storageClass") or ""): "the platform settings"}
    for agent in surveyed.agents:
        named |= dict.fromkeys(_classes_of(agent["spec"]), f"agent {agent['metadata']['name']}")
    missing = [(name, who) for name, who in named.items() if name and name not in classes]
    for name, who in missing:
        known = (
            f"storage classes there are: {', '.join(sorted(classes))}" if classes else "create the class, or name none"
        )
        yield Finding("storage", "error", f"storage class {name}, which {who} names, does not exist", known)
    if any(_is_default(one) for one in classes.values()) or surveyed.settings.get("storageClass") in classes:
        if not missing:
            yield Finding("storage", "ok", "claims get a storage class")
    else:
        yield Finding(
            "storage",
            "warning",
            "there is no default storage class: memories with persistence and workspaces on claims will wait",
            "set storageClass in the platform settings, or mark a class as the default",
        )


def _is_default(one: Plain) -> bool:
    return (one["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"


def _classes_of(spec: Plain) -> Iterator[str]:
    config = (spec.get("memory") or {}).get("config") or {}
    if config.get("storageClass"):
        yield config["storageClass"]
