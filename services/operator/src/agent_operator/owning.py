"""Makes objects an agent's own that are created outside of `Applier`: they go when the AgentType goes."""

from typing import Any

from agent_operator.objects import AgentObject
from agent_operator.sources import AGENT_TYPES


def owner_reference(obj: AgentObject) -> dict[str, Any]:
    """The entry for `metadata.ownerReferences`."""
    return {
        "apiVersion": AGENT_TYPES.api_version,
        "kind": AGENT_TYPES.kind,
        "name": obj.metadata.name,
        "uid": obj.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
