"""What to do about each reason of an AgentType's conditions."""

from collections.abc import Mapping

from agent_api.agenttype import Reason

_CURES: Mapping[str, str] = {
    Reason.INVALID: "correct the field that the message names; `agentberth validate` checks the manifest",
    Reason.APPLY_REFUSED: "the API server refuses a child object: correct what the message names",
    Reason.FORBIDDEN: "the cluster forbids it: give the operator the right the message names, or change the "
    "namespace's PodSecurity level or the AgentType's security.profile",
    Reason.QUOTA_EXCEEDED: "raise the namespace's ResourceQuota, or lower spec.resources or the number of replicas",
    Reason.NAME_CONFLICT: "an object of that name belongs to somebody else: rename the AgentType, or delete the object",
    Reason.HOT_LOOP: "something else changes the same fields: look at the managedFields of the children",
    Reason.PREPARE_FAILED: "read the init container's log below",
    Reason.UNSCHEDULABLE: "no node fits: lower spec.resources.agent.requests, or add nodes",
    Reason.IMAGE_PULL_FAILED: "check the image's name and tag, and that the nodes may pull it (imagePullSecrets)",
    Reason.SECRET_MISSING: "create the Secret in the agent's namespace with the key that the message names",
    Reason.CONFIG_MAP_MISSING: "create the ConfigMap in the agent's namespace with the key that the message names",
    Reason.CLAIM_PENDING: "the volume claim is not bound: check its StorageClass",
    Reason.CRASHING: "read the container's log below; `agentberth run` starts the same agent on this machine",
    Reason.OUT_OF_MEMORY: "raise spec.resources.agent.limits.memory, or choose a larger spec.resources.profile",
    Reason.NOT_READY: "the container runs but its readiness probe fails: check spec.agent.probes.readiness",
    Reason.EVICTED: "the node ran out of space or memory: raise requests, or lower what the agent writes",
    Reason.SUSPENDED: "set spec.suspend to false to run it",
    Reason.JOB_FAILED: "read the container's log below; an edit of the spec runs the Job again",
    Reason.DEADLINE_EXCEEDED: "raise spec.workload.activeDeadlineSeconds",
    Reason.TOOL_FAILED: "correct the tool's source or checksum, or move it to spec.tools.optional",
    Reason.TOOL_BLOCKED: "compare the tool with what was pinned in tools.lock.json of its workspace",
    Reason.CONFIG_REFUSED: "correct the setting that the message names; the last good configuration is still in use",
    Reason.NO_PROVIDER: "put a key into the Secret that the provider's credentialsSecret names",
    Reason.MEMORY_UNREACHABLE: "check the memory's address, password and certificate, and the network in between",
    Reason.MEMORY_FULL: "raise spec.memory.size, delete keys, or choose an evictionPolicy",
    Reason.CLAIM_NOT_RESIZED: "allow volume expansion in the claim's StorageClass, or go back to the former size",
    Reason.PREPARING: "wait: the init container is at work",
    Reason.PROGRESSING: "wait: the Pods are starting",
}


def cure_of(reason: str) -> str:
    """What to do; empty for a reason whose message says it itself, such as a fault of the init container."""
    return _CURES.get(reason, "")
