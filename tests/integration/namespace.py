"""A namespace with agents in it, in the words of the tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from integration.api import AGENTS, CHILDREN, Api, Document
from integration.waiting import PATIENCE_S, eventually

NGINX: Document = {"image": "nginx:1.27"}
AGENT_LABEL = "agents.example.com/agent"


def agent_document(name: str, **spec: Any) -> Document:
    """An AgentType; without `agent` it is the founding plan's basic one."""
    return {
        "apiVersion": "agents.example.com/v1",
        "kind": "AgentType",
        "metadata": {"name": name},
        "spec": {"agent": NGINX, **spec},
    }


@dataclass(frozen=True)
class Namespace:
    """One namespace, its operator at work, and what a test asks of them."""

    api: Api

    @property
    def name(self) -> str:
        return self.api.namespace

    async def create(self, name: str, **spec: Any) -> Document:
        return await self.api.create(AGENTS, agent_document(name, **spec))

    async def edit(self, name: str, **spec: Any) -> Document:
        """Merges `spec` into an AgentType's."""
        return await self.api.patch(AGENTS, name, {"spec": spec})

    async def agent(self, name: str) -> Document:
        """An AgentType as the server has it."""
        return await self.api.get(AGENTS, name)

    async def reaches(self, name: str, phase: str, *, ready: str = "", within_s: float = PATIENCE_S) -> Document:
        """The AgentType once its status is about its present spec and has this phase (and this Ready)."""

        async def look() -> Document:
            found = await self.agent(name)
            status = found.get("status", {})
            assert status.get("observedGeneration") == found["metadata"]["generation"], status
            assert status.get("phase") == phase, status
            assert not ready or condition(found, "Ready")["status"] == ready, status
            return found

        return await eventually(look, within_s=within_s)

    async def says(self, name: str, reason: str, *, within_s: float = PATIENCE_S) -> Document:
        """The AgentType once its Ready condition has this reason."""

        async def look() -> Document:
            found = await self.agent(name)
            assert found.get("status", {}).get("reason") == reason, found.get("status")
            return found

        return await eventually(look, within_s=within_s)

    async def finds(self, plural: str, name: str) -> Document:
        """A child once it is there."""

        async def look() -> Document | None:
            return await self.api.find(plural, name)

        return await eventually(look)

    @asynccontextmanager
    async def history(self, name: str) -> AsyncIterator[list[Document]]:
        """Every state of an AgentType that the server tells of meanwhile."""
        states: list[Document] = []

        async def follow() -> None:
            async for state in self.api.follow(AGENTS, name):
                states.append(state)  # noqa: PERF401 - what is there so far is wanted even when it is cut short

        following = asyncio.create_task(follow())
        try:
            yield states
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    async def pods(self, name: str) -> list[Document]:
        """An agent's Pods that are not being deleted."""
        pods = await self.api.list("pods", f"{AGENT_LABEL}={name}")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    async def only_pod(self, name: str) -> Document:
        """An agent's one Pod; fails while there are more."""
        pods = await self.pods(name)
        assert len(pods) == 1, [pod["metadata"]["name"] for pod in pods]
        return pods[0]

    async def has_pods(self, name: str, count: int = 1) -> list[Document]:
        """An agent's Pods once there are `count`."""

        async def look() -> list[Document]:
            pods = await self.pods(name)
            assert len(pods) == count, [pod["metadata"]["name"] for pod in pods]
            return pods

        return await eventually(look) if count else await _none_left(self, name)

    async def children(self, name: str) -> dict[str, list[str]]:
        """Names of the objects that carry an agent's label, by plural."""
        found = {}
        for plural in CHILDREN:
            names = sorted(o["metadata"]["name"] for o in await self.api.list(plural, f"{AGENT_LABEL}={name}"))
            if names:
                found[plural] = names
        return found

    async def events(self, name: str) -> list[Document]:
        """Events about an AgentType."""
        return [e for e in await self.api.list("events") if e["involvedObject"]["name"] == name]


def condition(agent: Document, kind: str) -> Document:
    """One condition of an AgentType, empty when it has none of that type."""
    found: Document = next((c for c in agent.get("status", {}).get("conditions", ()) if c["type"] == kind), {})
    return found


async def _none_left(namespace: Namespace, name: str) -> list[Document]:
    async def look() -> bool:
        return not await namespace.pods(name)

    await eventually(look)
    return []
