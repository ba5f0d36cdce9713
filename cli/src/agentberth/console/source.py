"""Where the console's page gets what it shows."""

from collections.abc import Sequence
from typing import Protocol

from agentberth.cluster.approvals import Decision
from agentberth.console.view import AgentRow, AgentView, ApprovalsView, CallsView, LogsView, Plain, RevisionsView


class Source(Protocol):
    """A run, or a cluster. Raises CommandError for what cannot be read, LookupError for what is not there."""

    @property
    def title(self) -> str:
        """What is looked at: the run's agent, or the cluster."""

    @property
    def problem(self) -> str:
        """Why the list of agents is not up to date; empty when it is."""

    @property
    def keeps_revisions(self) -> bool:
        """Whether there are earlier specs to compare: a run has one."""

    @property
    def version(self) -> int:
        """Grows with every change that the page should show."""

    async def agents(self) -> Sequence[AgentRow]:
        """All of them."""

    async def agent(self, namespace: str, name: str) -> AgentView:
        """One."""

    async def calls(self, namespace: str, name: str) -> CallsView:
        """Its calls."""

    async def logs(self, namespace: str, name: str, container: str, pod: str) -> LogsView:
        """The last lines of a container; `pod` may be empty in a run."""

    async def revisions(self, namespace: str, name: str, older: str, newer: str) -> RevisionsView:
        """Two of its specs, compared."""

    async def approvals(self) -> ApprovalsView:
        """Calls that a person is asked about."""

    async def decide(self, namespace: str, name: str, seen_hash: str, decision: Decision, note: str) -> None:
        """Decides about the call that has `seen_hash`."""


def about(source: Source) -> Plain:
    """What the page is told of the source itself."""
    return {"title": source.title, "revisions": source.keeps_revisions}
