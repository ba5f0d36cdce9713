"""Revisions of an AgentType's spec: the operator keeps them, `agentberth rollback` returns to one.

A revision is a ControllerRevision, as those of StatefulSets are. `replicas` and `suspend` are no part of it: an
autoscaler or a person changes them while the agent stays the same.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from agent_api import layout

REVISION_LABEL: Final = f"{layout.GROUP}/revision"
"""The revision's number, so that it can be read from metadata alone."""
MOST_REVISIONS: Final = 10
_PASSING: Final = ("replicas", "suspend")

Spec = Mapping[str, Any]


def lasting(spec: Spec) -> dict[str, Any]:
    """The part of a spec that is a revision."""
    return {name: value for name, value in spec.items() if name not in _PASSING}


def returned(spec: Spec, revision: Spec) -> dict[str, Any]:
    """A spec as `revision` has it, with what is no part of a revision as it is."""
    return {**revision, **{name: spec[name] for name in _PASSING if name in spec}}


def digest(spec: Spec) -> str:
    """Ten hex digits that two specs share when they are the same revision."""
    text = json.dumps(lasting(spec), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def differing(one: Any, other: Any, path: str = "") -> list[str]:  # noqa: ANN401 - JSON
    """Paths of the fields in which two specs differ, the outermost that is not in both."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        names = sorted({*one, *other})
        inner = (
            differing(one.get(name), other.get(name), f"{path}.{name}" if path else str(name))
            for name in names
            if one.get(name) != other.get(name)
        )
        return [found for paths in inner for found in paths]
    return [path] if one != other else []
