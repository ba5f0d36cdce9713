"""What the platform lets authors choose of a cluster: the `allowed` part of the settings."""

from typing import Annotated

from pydantic import Field

from agent_api.model import Config

Names = Annotated[tuple[str, ...], Field(max_length=256)] | None


class Allowed(Config):
    """What AgentTypes may ask for. A list that is not given allows everything; an empty one nothing."""

    registries: Names = Field(
        default=None,
        description="Of images that authors name: hosts, or beginnings such as registry.example.com/crew."
        " An image without a host is of docker.io.",
    )
    runtime_classes: Names = Field(default=None, description="Of `pod.runtimeClassName`.")
    priority_classes: Names = Field(default=None, description="Of `pod.priorityClassName`.")
    schedulers: Names = Field(default=None, description="Of `pod.schedulerName`.")
    storage_classes: Names = Field(default=None, description="Of claims of workspaces and memories.")
    node_labels: Names = Field(default=None, description="Keys of `pod.nodeSelector`.")
    taints: Names = Field(default=None, description='Keys of `pod.tolerations`; "every taint" is one without a key.')
    volumes: Names = Field(default=None, description="Kinds of `agent.volumes`, such as configMap or csi.")
    csi_drivers: Names = Field(default=None, description="Drivers of CSI volumes.")
    annotations: Names = Field(default=None, description="Keys of `pod.annotations`.")
    account_annotations: Names = Field(default=None, description="Keys of `pod.serviceAccount.annotations`.")
