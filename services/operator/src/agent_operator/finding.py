"""What is the matter with an agent, in the terms of its conditions."""

from dataclasses import dataclass

from agent_api.agenttype import Reason
from agent_api.initreport import InitFault

FAILING = frozenset(
    {
        Reason.INVALID,
        Reason.APPLY_REFUSED,
        Reason.PREPARE_FAILED,
        Reason.CRASHING,
        Reason.OUT_OF_MEMORY,
        Reason.JOB_FAILED,
        Reason.DEADLINE_EXCEEDED,
    }
)
"""Reasons with which an agent's phase is Failed: waiting alone does not mend them."""


@dataclass(frozen=True)
class Finding:
    """One fault: a reason constant and a sentence. Never holds a secret."""

    reason: str
    message: str

    @property
    def failing(self) -> bool:
        """Whether the agent counts as failed, not as pending."""
        return self.reason in FAILING or self.reason in set(InitFault)


def refused_pods(message: str) -> Finding:
    """Why a controller could not create Pods, from its own message."""
    if "exceeded quota" in message:
        return Finding(Reason.QUOTA_EXCEEDED, message)
    return Finding(Reason.FORBIDDEN, message)


def missing_object(message: str) -> Finding | None:
    """A Secret or ConfigMap that the kubelet could not find, from its own message."""
    lowered = message.lower()
    if "not found" not in lowered and "non-existent" not in lowered and "couldn't find key" not in lowered:
        return None
    if "secret" in lowered:
        return Finding(Reason.SECRET_MISSING, message)
    if "configmap" in lowered:
        return Finding(Reason.CONFIG_MAP_MISSING, message)
    return None
