"""The configuration of the moment, in one place: everything that acts on it asks here at each use.

So a new tools.json counts for the next call, install or listing, and nobody keeps a part of an old one.
"""

from agent_api.toolsconfig import ToolLimits, ToolsConfig, ToolsPolicy


class CurrentConfig:
    """`value` is replaced by `Configuration` alone."""

    taken_up: ToolsConfig | None = None
    """The newest one of which the tools are known too: what a report tells of them is by this one."""

    def __init__(self, value: ToolsConfig | None = None) -> None:
        self.value = value or ToolsConfig(agent="")

    @property
    def limits(self) -> ToolLimits:
        """Bounds of installs, calls and servers."""
        return self.value.limits

    @property
    def policy(self) -> ToolsPolicy:
        """What is allowed, pinned and approved."""
        return self.value.policy
