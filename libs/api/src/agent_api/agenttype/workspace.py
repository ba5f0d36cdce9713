"""`spec.workspace`: the folder that the agent and its tools work in."""

from typing import ClassVar, Literal

from pydantic import Field

from agent_api.agenttype.rule import ApiModel, Rule
from agent_api.agenttype.scalars import ObjectName, Size, size_bytes

_LEAST_BYTES = 1 << 20


class Workspace(ApiModel):
    """/workspace, which the agent and the tool proxy write. Without `persistent` it is gone with the Pod."""

    size: Size | None = Field(
        default=None,
        description="Of a claim, when it is made: to grow it, edit the claim. Default: the platform's `workspaceSize`.",
    )
    persistent: bool = Field(
        default=False, description="true: on a PersistentVolumeClaim NAME-workspace, which outlives Pods and nodes."
    )
    storage_class: ObjectName | None = Field(
        default=None, description="Of the claim, when it is made. Default: the platform's, else the cluster's."
    )
    access_mode: Literal["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"] | None = Field(
        default=None,
        description="Of the claim, when it is made. Default: ReadWriteOnce, for one Pod at a time; several replicas"
        " need ReadWriteMany, and share the folder.",
    )
    deletion_policy: Literal["retain", "delete"] | None = Field(
        default=None, description="What becomes of the claim when the AgentType is deleted. Default: retain."
    )
    home: bool = Field(
        default=False, description="true: HOME of the agent is /workspace, so that caches and settings stay with it."
    )

    rules: ClassVar = (
        Rule(
            message="storageClass, accessMode and deletionPolicy are for a persistent workspace: set persistent",
            reason="They would silently have no effect, and work thought to be kept would be lost.",
            cel="self.persistent || (!has(self.storageClass) && !has(self.accessMode) && !has(self.deletionPolicy))",
            holds=lambda w: w.persistent or (w.storage_class, w.access_mode, w.deletion_policy) == (None, None, None),
        ),
        Rule(
            message="size must be at least 1Mi",
            reason="An agent could not write anything.",
            cel="!has(self.size) || quantity(self.size).compareTo(quantity('1Mi')) >= 0",
            holds=lambda w: w.size is None or size_bytes(w.size) >= _LEAST_BYTES,
            field="size",
        ),
    )

    @property
    def shared(self) -> bool:
        """Whether several Pods may have it at once."""
        return not self.persistent or self.access_mode == "ReadWriteMany"
