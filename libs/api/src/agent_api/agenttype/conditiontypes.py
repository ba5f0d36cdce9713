"""Types of the conditions of an AgentType."""

from enum import StrEnum


class ConditionType(StrEnum):
    """Types of the conditions. `Ready` is the summary of the others."""

    ACCEPTED = "Accepted"
    WORKSPACE_PREPARED = "WorkspacePrepared"
    TOOLS_READY = "ToolsReady"
    GATEWAY_READY = "GatewayReady"
    MEMORY_READY = "MemoryReady"
    MONITORED = "Monitored"
    AVAILABLE = "Available"
    READY = "Ready"
    SECURITY_POSTURE = "SecurityPosture"
