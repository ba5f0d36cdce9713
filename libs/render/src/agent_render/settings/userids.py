"""User and group ids of Pods: fixed ones, or from the range that a cluster gives to a namespace, as OpenShift does."""

from pydantic import Field

from agent_api import layout
from agent_api.agenttype.scalars import DnsLabel
from agent_api.model import Config

_HIGHEST = 2**31 - 1 - (layout.INITENV_UID - layout.POD_GID)


class UserIds(Config):
    """Each container has an id of its own in any case: they are the walls between containers."""

    first: int = Field(
        default=layout.POD_GID,
        ge=1000,
        le=_HIGHEST,
        description="The group of all Pods; the users of their containers are the 10 ids after it.",
    )
    namespaces: dict[DnsLabel, int] = Field(
        default_factory=dict,
        description="By namespace, in place of `first`: the start of the range that the cluster gives it. OpenShift has"
        " it in the namespace's annotation `openshift.io/sa.scc.uid-range`.",
    )

    def of(self, namespace: str, fixed: int) -> int:
        """The id in `namespace` that is `fixed` of `agent_api.layout` elsewhere."""
        return self.namespaces.get(namespace, self.first) + fixed - layout.POD_GID
