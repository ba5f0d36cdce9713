"""What is the matter with an agent, in the terms of its conditions."""

import re
from dataclasses import dataclass

from agent_api.agenttype import Reason
from agent_api.initreport import InitFault

# The kubelet's words for an object that is not there, and for a key that is not in it.
_MISSING = re.compile(
    r'\b(secret|configmap) "[^"]*" not found'
    r"|couldn't find key \S+ in (secret|configmap)\b"
    r"|non-existent (secret|config) key",
    re.IGNORECASE,
)

_FAILING = frozenset(reason for reason in Reason if reason.failing) | frozenset(InitFault)


@dataclass(frozen=True)
class Finding:
    """One fault: a reason constant and a sentence. Never holds a secret."""

    reason: str
    message: str

    @property
    def failing(self) -> bool:
        """Whether the agent counts as failed, not as pending."""
        return self.reason in _FAILING


def refused_pods(message: str) -> Finding:
    """Why a controller could not create Pods, from its own message."""
    if "exceeded quota" in message:
        return Finding(Reason.QUOTA_EXCEEDED, message)
    return Finding(Reason.FORBIDDEN, message)


def missing_object(message: str) -> Finding | None:
    """A Secret or ConfigMap that the kubelet could not find, from its own message."""
    found = _MISSING.search(message)
    if found is None:
        return None
    kind = next(filter(None, found.groups())).lower()
    return Finding(Reason.SECRET_MISSING if kind == "secret" else Reason.CONFIG_MAP_MISSING, message)
