"""Every reason of an AgentType's conditions: which conditions have it, what it means, and what to do about it.

One row for each. The AgentType page, the troubleshooting page, `agentberth diagnose` and the operator read this table.
"""

from agent_api.agenttype.conditiontypes import ConditionType
from agent_api.agenttype.reasonrow import ReasonRow

_ACCEPTED = ConditionType.ACCEPTED
_PREPARED = ConditionType.WORKSPACE_PREPARED
_TOOLS = ConditionType.TOOLS_READY
_GATEWAY = ConditionType.GATEWAY_READY
_MEMORY = ConditionType.MEMORY_READY
_MONITORED = ConditionType.MONITORED
_AVAILABLE = ConditionType.AVAILABLE
_READY = ConditionType.READY
_POSTURE = ConditionType.SECURITY_POSTURE
_NOTHING = "Nothing to do."


class Reason(ReasonRow):
    """Reasons of the conditions. WorkspacePrepared also takes the faults of `agent_api.initreport`."""

    ACCEPTED = ("Accepted", (_ACCEPTED,), "The spec is valid and applied.", _NOTHING)
    UNKNOWN_SETTINGS = (
        "UnknownSettings",
        (_ACCEPTED,),
        "The condition is True, but keys of a provider's or the memory's `config`, or metrics, are not known.",
        "Check the spelling of the names in the message.",
    )
    INVALID = (
        "Invalid",
        (_ACCEPTED, _READY),
        "The spec breaks a rule, or asks for what the platform cannot do.",
        "Correct the field that the message names; `agentberth validate` checks the manifest.",
        True,
    )
    NO_PRICE = (
        "NoPrice",
        (_ACCEPTED, _READY),
        "`llm.budget` limits money, but a model that a provider serves has no price: calls would be refused.",
        "Add the models in the message to `prices` in the platform's settings, or limit tokens instead.",
        True,
    )
    APPLY_REFUSED = (
        "ApplyRefused",
        (_ACCEPTED, _READY),
        "The API server refused one of the agent's objects.",
        "Correct what the API server's message names.",
        True,
    )
    FORBIDDEN = (
        "Forbidden",
        (_ACCEPTED, _READY),
        "The operator, or the controller that creates the Pods, lacks a right; PodSecurity refuses in this way too.",
        "Grant the right that the message names, or change the namespace's PodSecurity level or `security.profile`.",
    )
    QUOTA_EXCEEDED = (
        "QuotaExceeded",
        (_ACCEPTED, _READY),
        "A ResourceQuota of the namespace is used up.",
        "Raise the quota, or lower `spec.resources` or the number of replicas.",
    )
    NAME_CONFLICT = (
        "NameConflict",
        (_ACCEPTED, _READY),
        "An object of that name exists and does not belong to the AgentType.",
        "Rename the AgentType, or delete the other object.",
    )
    CONTESTED = ("Contested", (_READY,), "Another program keeps changing the agent's objects.", "Stop that program.")
    HOT_LOOP = (
        "HotLoop",
        (_READY,),
        "Something else changes the agent's objects as often as the operator sets them.",
        "Find the other writer in the `managedFields` of the objects; the operator keeps trying, slowly.",
    )
    PREPARED = ("Prepared", (_PREPARED,), "The init container ended successfully.", _NOTHING)
    PREPARING = (
        "Preparing",
        (_PREPARED,),
        "The init container is running, or no Pod has started.",
        "Wait; the condition `Ready` names the cause when it lasts.",
    )
    PREPARE_FAILED = (
        "PrepareFailed",
        (_PREPARED, _READY),
        "The init container failed and left no report.",
        "Read its log: `kubectl logs POD -c initenv`.",
        True,
    )
    NOT_NEEDED = (
        "NotNeeded",
        (_PREPARED, _MONITORED),
        "There is no init container ([why](adr/0007-no-init-container-without-work.md)), or no sidecar with metrics.",
        _NOTHING,
    )
    AVAILABLE = ("Available", (_AVAILABLE,), "At least one Pod is ready.", _NOTHING)
    PROGRESSING = (
        "Progressing",
        (_AVAILABLE, _READY, _TOOLS, _GATEWAY, _MEMORY),
        "Pods are being created or replaced, tools are being installed, or a new configuration is being taken up.",
        "Wait.",
    )
    UNSCHEDULABLE = (
        "Unschedulable",
        (_READY,),
        "No node accepts the Pod; the scheduler's words are in the message.",
        "Lower the requests in `spec.resources`, or add a node.",
    )
    IMAGE_PULL_FAILED = (
        "ImagePullFailed",
        (_READY,),
        "An image cannot be pulled.",
        "Check the image's name and tag, and that the nodes may pull it.",
    )
    SECRET_MISSING = (
        "SecretMissing",
        (_READY, _MEMORY),
        "A Secret, or a key of it, does not exist.",
        "Create it in the agent's namespace, with that key; the Pod then continues. That of a memory is recreated.",
    )
    CONFIG_MAP_MISSING = (
        "ConfigMapMissing",
        (_READY,),
        "A ConfigMap, or a key of it, does not exist.",
        "Create it in the agent's namespace, with the key that the message names; the Pod continues by itself.",
    )
    CLAIM_PENDING = (
        "ClaimPending",
        (_READY,),
        "The scheduler waits for a PersistentVolumeClaim that is not bound.",
        "Check the claim and its StorageClass.",
    )
    CRASHING = (
        "Crashing",
        (_READY,),
        (
            "A container ended with an error, or cannot be created. The message says so when the hardening refused it "
            "a path, a port or its user."
        ),
        (
            "Do what the message says, or read the log: `kubectl logs POD -c CONTAINER --previous`; `agentberth run` "
            "starts the same agent on your machine."
        ),
        True,
    )
    OUT_OF_MEMORY = (
        "OutOfMemory",
        (_READY,),
        "A container was killed at its memory limit.",
        "Raise its limit in `spec.resources`, or choose a larger `spec.resources.profile`.",
        True,
    )
    NOT_READY = (
        "NotReady",
        (_ACCEPTED, _READY),
        "An object could not be applied for now, or a volume cannot be mounted yet.",
        "Read the message: both are tried again by themselves; when it lasts, correct what the message names.",
    )
    EVICTED = (
        "Evicted",
        (_READY,),
        "The kubelet removed the Pod: a volume outgrew its size limit, or the node ran short of disk or memory.",
        (
            "Raise the limit that the message names, or write less; on a node under pressure, raise the requests in "
            "`spec.resources`."
        ),
    )
    SUSPENDED = (
        "Suspended",
        (_AVAILABLE, _READY, _MEMORY),
        "`spec.suspend` is true.",
        "Set `spec.suspend` to false to run the agent.",
    )
    SCHEDULED = (
        "Scheduled",
        (_AVAILABLE, _READY),
        "A CronJob between or during its runs; the message says how the last run ended.",
        _NOTHING,
    )
    RUN_LOST = (
        "RunLost",
        (_AVAILABLE, _READY),
        "The Job was deleted while it ran, so how it ended is not known.",
        "Read what it did elsewhere; an edit of the spec runs the Job again.",
        True,
    )
    ROLLOUT_PAUSED = (
        "RolloutPaused",
        (_READY,),
        "Somebody paused the rollout of the agent's Deployment, so an edit does not reach its Pods.",
        "Resume it: `kubectl rollout resume deployment NAME`.",
    )
    COMPLETED = ("Completed", (_AVAILABLE, _READY), "The Job succeeded.", _NOTHING)
    JOB_FAILED = (
        "JobFailed",
        (_AVAILABLE, _READY),
        "The Job failed for good.",
        "Read the message and the log: `kubectl logs POD -c CONTAINER`; an edit of the spec runs the Job again.",
        True,
    )
    DEADLINE_EXCEEDED = (
        "DeadlineExceeded",
        (_AVAILABLE, _READY),
        "The Job ran longer than `spec.workload.activeDeadlineSeconds`.",
        "Raise `spec.workload.activeDeadlineSeconds`, or give the Job less to do.",
        True,
    )
    TOOL_FAILED = (
        "ToolFailed",
        (_TOOLS, _READY),
        "A required tool could not be installed or started; its error is in the message and in `status.toolStatus`.",
        "Correct the tool's source or checksum, or move it to `spec.tools.optional`.",
    )
    TOOL_BLOCKED = (
        "ToolBlocked",
        (_TOOLS, _READY),
        "A required tool is not what it was when it was first used.",
        "Find out why it changed, and compare it with what was pinned, before you approve it.",
    )
    CONFIG_REFUSED = (
        "ConfigRefused",
        (_TOOLS, _GATEWAY, _READY),
        "A sidecar cannot use its newest configuration, and continues with the one before.",
        "Correct the setting that the message names.",
    )
    UNSIGNED_REPORT = (
        "UnsignedReport",
        (_TOOLS, _GATEWAY, _READY),
        (
            "The answer at a sidecar's port is not signed with the key that is mounted in that sidecar. It comes from "
            "a Pod of an older version that still runs, or from the agent in the sidecar's place."
        ),
        (
            "After an upgrade, wait until the Pods are replaced. Otherwise check the agent's container and the "
            "sidecar's log, and delete the Pod."
        ),
    )
    REPORT_TOO_LARGE = (
        "ReportTooLarge",
        (_TOOLS, _GATEWAY, _READY),
        "A sidecar has more to report than the operator reads, so nothing is known of it, and tools cannot be pinned.",
        "Serve fewer tools: name those that the agent needs in `spec.tools.policy.allow`, or use several agents.",
    )
    NO_PROVIDER = (
        "NoProvider",
        (_GATEWAY, _READY),
        "No provider has a key that can be read.",
        "Put a key into the Secret that the provider's `credentialsSecret` names.",
    )
    PROVIDERS_FAILING = (
        "ProvidersFailing",
        (_GATEWAY, _READY),
        "Every provider refuses its keys, or is left alone after failing again and again.",
        "Read the errors in the message; a new key in the provider's Secret is used without a restart.",
    )
    MEMORY_UNREACHABLE = (
        "MemoryUnreachable",
        (_MEMORY, _READY),
        "A sidecar cannot use the memory; the agent runs on.",
        "Check the memory's address, password and certificate, and the network in between.",
    )
    MEMORY_FULL = (
        "MemoryFull",
        (_MEMORY, _READY),
        "Nothing makes room in the memory, so writes are refused, or soon will be.",
        "Raise `spec.memory.size`, delete keys, or choose an `evictionPolicy`.",
    )
    NOT_OBSERVED = (
        "NotObserved",
        (_MEMORY,),
        "The memory is at a URL, and the agent has no sidecar that observes it.",
        "Nothing to do; with `tools` or `llm` in the spec it is observed.",
    )
    CLAIM_NOT_RESIZED = (
        "ClaimNotResized",
        (_MEMORY, _READY),
        "The claim cannot grow to what `spec.memory.size` needs.",
        "Allow volume expansion in the claim's StorageClass, or return to the former size.",
    )
    COLLECTED = ("Collected", (_MONITORED,), "The agent has a PodMonitor.", _NOTHING)
    NO_POD_MONITORS = (
        "NoPodMonitors",
        (_MONITORED,),
        "The cluster does not have `monitoring.coreos.com/v1`.",
        "Install the Prometheus operator, or its definitions alone, or leave `monitoring` out.",
    )
    READY = ("Ready", (_READY, _TOOLS, _GATEWAY), "Everything in the spec is there.", _NOTHING)
    ISOLATED = (
        "Isolated",
        (_POSTURE,),
        "Nothing is weaker than by default, and the node's kernel keeps tools apart; the message says by what.",
        _NOTHING,
    )
    WEAKENED = (
        "Weakened",
        (_POSTURE,),
        "The agent, or the kernel of its node, protects less than by default; the message lists what is weaker.",
        "Make sure that it is intended; for a kernel, choose nodes with Linux 6.12 or newer.",
    )
