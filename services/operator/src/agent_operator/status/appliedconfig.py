"""Which configurations of the sidecars were applied, by the digests that their reports give.

A ConfigMap reaches a running sidecar up to a minute and more after it was written. Until then its report is of the
configuration before.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent_api import layout
from agent_api.toolsconfig import ToolsConfig, configuration_digest
from agent_kube import Manifest


@dataclass(frozen=True)
class AppliedConfig:
    """Digests as the reports name them; "" for a sidecar that the agent does not have."""

    gateway: str = ""
    tools: str = ""

    @classmethod
    def of(cls, children: Iterable[Manifest], name: str) -> "AppliedConfig":
        """Of `children` as they are sent, of which the ConfigMap called `name` is the sidecars'."""
        found = (each for each in children if each["kind"] == "ConfigMap" and each["metadata"]["name"] == name)
        data: Mapping[str, str] = next((each["data"] for each in found), {})
        gateway, tools = data.get(layout.GATEWAY_KEY), data.get(layout.TOOLS_KEY)
        return cls(
            hashlib.sha256(gateway.encode()).hexdigest() if gateway is not None else "",
            configuration_digest(ToolsConfig.model_validate_json(tools)) if tools is not None else "",
        )


def is_outdated(reported: str, wanted: str) -> bool:
    """Whether a report is of another configuration than the one that is wanted; what names none is believed."""
    return bool(reported and wanted) and reported != wanted
