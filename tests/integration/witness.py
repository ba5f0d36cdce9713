"""What the API server told of an agent's objects from the first one on, however often it is restarted meanwhile."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from integration.api import Document, RefusedError
from integration.namespace import AGENT_LABEL, Namespace

KINDS = ("pods", "networkpolicies", "jobs")


@dataclass
class Witness:
    """The first state that was seen of each object, by kind and uid."""

    namespace: Namespace
    _seen: dict[str, dict[str, Document]] = field(default_factory=lambda: defaultdict(dict))

    def unfenced(self) -> list[str]:
        """Pods of agents that were there before any NetworkPolicy that selects them."""
        policies = list(self._seen["networkpolicies"].values())
        pods = [pod for pod in self._seen["pods"].values() if AGENT_LABEL in pod["metadata"].get("labels", {})]
        return [
            pod["metadata"]["name"]
            for pod in pods
            if not any(_selects(policy, pod) and _is_before(policy, pod) for policy in policies)
        ]

    def made_twice(self) -> list[str]:
        """Names of Jobs that were made more than once, and of Jobs that had more than one Pod."""
        jobs = [job["metadata"]["name"] for job in self._seen["jobs"].values()]
        runs = [
            owner["name"]
            for pod in self._seen["pods"].values()
            for owner in pod["metadata"].get("ownerReferences", ())
            if owner["kind"] == "Job"
        ]
        return sorted({name for names in (jobs, runs) for name in names if names.count(name) > 1})

    def count(self, plural: str) -> int:
        """How many objects of a kind there ever were."""
        return len(self._seen[plural])

    async def follow(self, plural: str) -> None:
        """Write down what is told of a kind, for ever."""
        while True:
            try:
                async for state in self.namespace.api.follow(plural):
                    if uid := state.get("metadata", {}).get("uid"):
                        self._seen[plural].setdefault(uid, state)
            except (aiohttp.ClientError, RefusedError, OSError, ValueError):  # the API server is down, on purpose
                await asyncio.sleep(0.2)


@asynccontextmanager
async def witnessed(namespace: Namespace) -> AsyncIterator[Witness]:
    """A witness of a namespace, as long as the context lasts."""
    witness = Witness(namespace)
    async with asyncio.TaskGroup() as tasks:
        following = [tasks.create_task(witness.follow(plural)) for plural in KINDS]
        try:
            yield witness
        finally:
            for task in following:
                task.cancel()


def _selects(policy: Document, pod: Document) -> bool:
    wanted: dict[str, str] = policy["spec"]["podSelector"].get("matchLabels", {})
    labels: dict[str, str] = pod["metadata"]["labels"]
    return wanted.items() <= labels.items()


def _is_before(policy: Document, pod: Document) -> bool:
    """By the order of the server's writes; what was first seen later than it was made, by the second it was made in."""
    (first, at), (second, then) = (_made(each["metadata"]) for each in (policy, pod))
    return first < second or at < then


def _made(metadata: Document) -> tuple[int, str]:
    return int(metadata["resourceVersion"]), metadata["creationTimestamp"]
