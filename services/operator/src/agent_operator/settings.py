"""The operator's settings: each is a flag and an environment variable, described in docs/reference/operator.md."""

from pathlib import Path

from agent_api import layout
from agent_kit.settings import ServiceSettings, setting, settings


@settings
class OperatorSettings(ServiceSettings):
    """Settings of agent-operator."""

    ops_port: int = setting(
        layout.OPERATOR_OPS_PORT, "Port of /livez, /readyz and /metrics.", at_least=0, at_most=65535
    )
    platform: Path | None = setting(None, "Platform settings (YAML): images, runtimes, profiles. Default: built in.")
    catalogue: Path | None = setting(None, "Tools that agents may ask for by name (YAML). Default: none.")
    tracing_endpoint: str = setting(
        "", "OTLP/HTTP collector for agents that name none. Default: `tracingEndpoint` of the platform settings."
    )
    storage_class: str = setting("", "Storage class of new claims. Default: `storageClass` of the platform settings.")
    namespaces: tuple[str, ...] = setting((), "Namespaces to watch, comma separated. Default: all of them.")
    leader_election: bool = setting(True, "Work only while holding the lease.")
    lease_namespace: str = setting("agentberth-system", "Namespace of the lease.", env="POD_NAMESPACE")
    lease_name: str = setting("agentberth-operator", "Name of the lease.")
    instance: str = setting(
        "", "Name of this replica in the lease and in events. Default: the host name.", env="POD_NAME"
    )
    workers: int = setting(32, "AgentTypes reconciled at once.", at_least=1, at_most=256)
    resync_s: float = setting(
        600, "Seconds after which an AgentType is reconciled even without a change.", at_least=1, at_most=86400
    )
    watch_silence_s: float = setting(
        70, "Seconds without a byte after which a watch counts as dead; the server sends something every 60.",
        at_least=1, at_most=600,
    )  # fmt: skip
    api_retry_s: float = setting(
        60,
        "Seconds between two checks for an API that the cluster lacks, such as PodMonitor.",
        at_least=1,
        at_most=3600,
    )
    report_refresh_s: float = setting(
        300,
        "Longest time in seconds until a sidecar's report is read again; 10 while there are few agents.",
        at_least=1,
        at_most=86400,
    )
    takeover_s: float = setting(
        60, "Seconds without an answer after which the agents of another installation are taken over.", at_least=1,
        at_most=3600,
    )  # fmt: skip
    reconcile_timeout_s: float = setting(60, "Longest time of one reconcile.", at_least=1, at_most=600)
    drain_s: float = setting(20, "Time for running reconciles to end after SIGTERM.", at_least=0, at_most=600)
