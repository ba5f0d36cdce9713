"""A cluster, as the console shows it. AgentTypes are watched; the rest is read when an agent is looked at."""

import asyncio
import json
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from agent_api import layout
from agent_api.agenttype.revisions import REVISION_LABEL
from agent_render.identity import AGENT_LABEL
from agentberth.cluster.approvals import Decision
from agentberth.cluster.kubectl import Kubectl
from agentberth.console.access import Api, RefusedError
from agentberth.console.clusterapprovals import ClusterApprovals
from agentberth.console.clusterviews import conditions_of, containers_of, events_of, providers_of, row_of, tools_of
from agentberth.console.limits import limits_of
from agentberth.console.podcalls import OPS, CallKeys, read_calls, read_keys
from agentberth.console.revisions import revisions_view
from agentberth.console.view import AgentRow, AgentView, ApprovalsView, CallsView, LogsView, Plain, RevisionsView
from agentberth.errors import CommandError

_PATH: Final = f"/apis/{layout.GROUP}/{layout.VERSION}"
_PAGE: Final = "500"
_LOOK_EVERY_S: Final = 5
_AGAIN_S: Final = 2.0
_MOST_LINES: Final = "1000"
_MOST_LOG_BYTES: Final = str(2 << 20)
_MOST_PODS: Final = 20
UNVERIFIED: Final = "The calls are not verified: that needs the agent's ConfigMap, which your rights do not cover."


class ClusterSource:
    """`follow` keeps the list of agents, of all namespaces unless one is given; without `kubectl` it only reads."""

    def __init__(self, api: Api, title: str, namespace: str = "", kubectl: Kubectl | None = None) -> None:
        self._api = api
        self.title = title
        self.keeps_revisions = True
        scope = f"{_PATH}/namespaces/{quote(namespace)}" if namespace else _PATH
        self._list = f"{scope}/agenttypes"
        self._approvals = ClusterApprovals(api, scope, kubectl)
        self._agents: dict[tuple[str, str], Plain] = {}
        self._changes = 0
        self.is_listed = False
        """Whether there is a list to show; one that cannot be kept up to date stays."""
        self.problem = "the agents are being listed"

    @property
    def version(self) -> int:
        """Also grows with time: Pods, events and calls are not watched."""
        return self._changes + int(time.time() / _LOOK_EVERY_S)

    async def follow(self) -> None:
        """Lists, then watches; from the beginning again when that ends."""
        while True:
            try:
                await self._watch(await self._relist())
            except CommandError as error:
                self.problem = str(error)
            except (ValueError, LookupError, TypeError, AttributeError):
                self.problem = "the cluster's answer cannot be read"
            self._changes += 1
            await asyncio.sleep(_AGAIN_S)

    async def _relist(self) -> str:
        found: dict[tuple[str, str], Plain] = {}
        query = {"limit": _PAGE}
        while True:
            page = await self._api.get(self._list, **query)
            for agent in page["items"]:
                found[_key(agent)] = agent
            if not (more := page["metadata"].get("continue")):
                break
            query = {"limit": _PAGE, "continue": more}
        self._agents, self.problem, self.is_listed = found, "", True
        self._changes += 1
        return str(page["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> None:
        async for line in self._api.lines(self._list, watch="1", resourceVersion=version):
            change = json.loads(line or b"{}")
            kind, agent = change.get("type"), change.get("object") or {}
            if kind == "ERROR":
                return
            if kind == "DELETED":
                self._agents.pop(_key(agent), None)
            elif kind in ("ADDED", "MODIFIED"):
                self._agents[_key(agent)] = agent
            self._changes += 1

    async def agents(self) -> Sequence[AgentRow]:
        """Those that the user may list. Raises CommandError while there is no list."""
        if not self.is_listed:
            raise CommandError(self.problem)
        return [row_of(self._agents[key]) for key in sorted(self._agents)]

    async def agent(self, namespace: str, name: str) -> AgentView:
        """One agent, with what of its Pods and events the user may read."""
        agent = self._of(namespace, name)
        notes: list[str] = []
        pods, events = await asyncio.gather(
            self._readable(notes, "Pods", self._pods(namespace, name)),
            self._readable(notes, "events", self._items(f"/api/v1/namespaces/{quote(namespace)}/events", limit=_PAGE)),
        )
        status = agent.get("status") or {}
        return AgentView(
            row=row_of(agent),
            containers=tuple(containers_of(pods)),
            conditions=conditions_of(agent),
            providers=providers_of(agent),
            tools=tools_of(agent),
            memory=status.get("memoryStatus"),
            limits=limits_of((status.get("llmStatus") or {}).get("budget")),
            events=events_of(events, name),
            notes=notes,
        )

    async def calls(self, namespace: str, name: str) -> CallsView:
        """Of every sidecar of every Pod, through the API server; what is not signed is left out and noted."""
        self._of(namespace, name)
        notes: list[str] = []
        pods = await self._readable(notes, "Pods", self._pods(namespace, name))
        asked = [(pod, sidecar) for pod in pods[:_MOST_PODS] for sidecar in _sidecars(pod)]
        keys = await self._keys(notes, namespace, name) if asked else CallKeys({})
        reports = await asyncio.gather(*(self._calls_of(notes, keys, *each) for each in asked))
        calls = [call for each in reports if each for call in each[0]]
        return CallsView(sorted(calls, key=lambda call: call["at"]), sum(each[1] for each in reports if each), notes)

    async def logs(self, namespace: str, name: str, container: str, pod: str) -> LogsView:
        """The end of a container's log."""
        self._of(namespace, name)
        if not pod or not (pod == name or pod.startswith(f"{name}-")):
            raise LookupError(f"this agent has no Pod {pod[:100]!r}")
        query = {"container": container, "tailLines": _MOST_LINES, "limitBytes": _MOST_LOG_BYTES}
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod, safe='')}/log"
        try:
            return LogsView(container, (await self._api.text(path, **query)).splitlines())
        except RefusedError as error:
            return LogsView(container, (), (f"The log cannot be read: {error}",))

    async def revisions(self, namespace: str, name: str, older: str, newer: str) -> RevisionsView:
        """What the operator has kept of the agent's specs; two of them compared."""
        agent, notes = self._of(namespace, name), list[str]()
        path = f"/apis/apps/v1/namespaces/{quote(namespace)}/controllerrevisions"
        selector = f"{AGENT_LABEL}={name},{REVISION_LABEL}"
        found = await self._readable(notes, "revisions", self._items(path, labelSelector=selector, limit=_PAGE))
        return await asyncio.to_thread(revisions_view, agent, found, older, newer, notes)

    async def approvals(self) -> ApprovalsView:
        return await self._approvals.view()

    async def decide(self, namespace: str, name: str, seen_hash: str, decision: Decision, note: str) -> None:
        """See ClusterApprovals."""
        await self._approvals.decide(namespace, name, seen_hash, decision, note)
        self._changes += 1

    def _of(self, namespace: str, name: str) -> Plain:
        if (namespace, name) not in self._agents:
            raise LookupError(f"there is no agent {namespace[:100]}/{name[:100]}")
        return self._agents[namespace, name]

    def _pods(self, namespace: str, name: str) -> Awaitable[list[Plain]]:
        return self._items(f"/api/v1/namespaces/{quote(namespace)}/pods", labelSelector=f"{AGENT_LABEL}={name}")

    async def _items(self, path: str, **query: str) -> list[Plain]:
        items: list[Plain] = (await self._api.get(path, **query)).get("items", [])
        return items

    async def _readable(self, notes: list[str], what: str, reading: Awaitable[list[Plain]]) -> list[Plain]:
        """What the user may read; what not is noted."""
        with _noting(notes, what):
            return await reading
        return []

    async def _keys(self, notes: list[str], namespace: str, name: str) -> CallKeys:
        with _noting(notes, "keys of the agent"):
            keys = await read_keys(self._api, namespace, name)
            if keys.values is None:
                notes.append(UNVERIFIED)
            return keys
        return CallKeys({})

    async def _calls_of(
        self, notes: list[str], keys: CallKeys, pod: Plain, sidecar: str
    ) -> tuple[list[Plain], int] | None:
        name = pod["metadata"]["name"]
        with _noting(notes, f"calls of {sidecar} in {name}"):
            report = await read_calls(self._api, pod, sidecar, keys.signer(pod, sidecar))
            shown = [call.model_dump(mode="json", by_alias=True) for call in report.calls]
            return [{"sidecar": sidecar, "pod": name, **call} for call in shown], report.dropped
        return None


@contextmanager
def _noting(notes: list[str], what: str) -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        word = "may not be read with your rights" if error.status == 403 else "cannot be read"
        notes.append(f"The {what} {word}: {error}")
    except CommandError as error:
        notes.append(f"The {what} cannot be read: {error}")


def _key(agent: Plain) -> tuple[str, str]:
    return agent["metadata"]["namespace"], agent["metadata"]["name"]


def _sidecars(pod: Plain) -> list[str]:
    return [each["name"] for each in pod["spec"].get("initContainers") or () if each["name"] in OPS]
