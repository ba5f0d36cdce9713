"""What an agent's tools are held to, kept in a ConfigMap for as long as the agent lives.

/tools and the workspace go with the Pod. So the first ready report of an agent is remembered here, and rendered back
into tools.json: all replicas and all later Pods are held to it. A report may add what was never seen; it changes
nothing that is pinned unless the spec approves it, so a sidecar that lies gains no more than its own first word.
"""

import json
import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.toolsconfig import PlannedTool, ToolsConfig
from agent_api.toolslock import LOCK_KEY, LockedTool, PinnedDefinition, ToolsLock
from agent_api.toolsreport import ToolsReport
from agent_kube import Client, Conflict, Manifest, NotFound, ObjectKey, Occupied, Request, Stores
from agent_operator.objects import AgentObject
from agent_operator.owning import owner_reference
from agent_operator.sources import CONFIG_MAPS, CONFIGURED
from agent_render.identity import AGENT_LABEL, Identity

REMEMBERED: Final = 10_000
_log = logging.getLogger(__name__)


class PinKeeper:
    """One for the operator. What it remembers is in the ConfigMaps, and may be lost."""

    def __init__(self, client: Client, stores: Stores, *, field_manager: str) -> None:
        self._client = client
        self._stores = stores
        self._manager = field_manager
        self._known: OrderedDict[str, ToolsLock] = OrderedDict()

    async def prepare(self, obj: AgentObject, agent: AgentType, children: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
        """`children` with the lock in tools.json. Raises the kube errors: unpinned tools must not be started."""
        if not _is_pinned(agent):
            return children
        return held_to(children, await self._lock_of(obj, agent), agent)

    async def keep(
        self,
        request: Request,
        obj: AgentObject,
        agent: AgentType,
        report: ToolsReport | None,
        rendered: tuple[Manifest, ...],
    ) -> bool:
        """Remember what a ready proxy has seen; whether that was new. A lock that was deleted is made again."""
        if not _is_pinned(agent):
            return False
        known = await self._lock_of(obj, agent)
        merged = known
        if report is not None and report.ready:
            planned = planned_tools(rendered, agent) if report.lock.tools != known.tools else {}
            merged = merge(known, report.lock, agent, planned)
        lost = await self._is_lost(obj, agent, merged)
        if merged == known and not lost:
            return False
        await self._client.apply(CONFIG_MAPS, _manifest(obj, agent, merged), field_manager=self._manager)
        request.writes.count += 1
        self._remember(obj.metadata.uid, merged)
        return merged != known

    async def _is_lost(self, obj: AgentObject, agent: AgentType, lock: ToolsLock) -> bool:
        """Whether `lock` stands in no ConfigMap. The server is asked only where the cache shows none."""
        if lock == ToolsLock() or self._stores[CONFIGURED].get(_key(agent)) is not None:
            return False
        return await self._read(obj, agent) == ToolsLock()

    async def _lock_of(self, obj: AgentObject, agent: AgentType) -> ToolsLock:
        """An empty one is read again once there is an object: `agentberth tools approve --from` may have made it."""
        known = self._known.get(obj.metadata.uid)
        if known is None or (known == ToolsLock() and self._stores[CONFIGURED].get(_key(agent)) is not None):
            known = await self._read(obj, agent)
            self._remember(obj.metadata.uid, known)
        return known

    async def _read(self, obj: AgentObject, agent: AgentType) -> ToolsLock:
        """Raises Conflict and Occupied where the lock is not this agent's."""
        try:
            found = await self._client.get(CONFIG_MAPS, _key(agent))
        except NotFound:
            return ToolsLock()
        _require_own(found["metadata"], obj, agent)
        try:
            return ToolsLock.model_validate_json((found.get("data") or {}).get(LOCK_KEY, "{}"))
        except ValidationError:
            _log.warning("a lock of tools is damaged and begun anew", extra={"agent": agent.metadata.name})
            return ToolsLock()

    def _remember(self, uid: str, lock: ToolsLock) -> None:
        self._known[uid] = lock
        self._known.move_to_end(uid)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def held_to(children: tuple[Manifest, ...], lock: ToolsLock, agent: AgentType) -> tuple[Manifest, ...]:
    """`children` with `lock` in the tools.json of the agent's ConfigMap."""
    name = Identity.of(agent).config
    return tuple(
        _with_lock(child, lock) if child["kind"] == "ConfigMap" and child["metadata"]["name"] == name else child
        for child in children
    )


def planned_tools(children: tuple[Manifest, ...], agent: AgentType) -> Mapping[str, PlannedTool]:
    """The tools of the agent's tools.json, by name: what its spec and the platform's catalogue ask for."""
    name = Identity.of(agent).config
    found = (each["data"] for each in children if each["kind"] == "ConfigMap" and each["metadata"]["name"] == name)
    data: dict[str, str] = next(found, {})
    if layout.TOOLS_KEY not in data:
        return {}
    return {each.name: each for each in ToolsConfig.model_validate_json(data[layout.TOOLS_KEY]).tools}


def merge(known: ToolsLock, seen: ToolsLock, agent: AgentType, planned: Mapping[str, PlannedTool]) -> ToolsLock:
    """`known` with what may be added to it. What belongs to no tool of the spec any more is dropped."""
    tools = agent.spec.tools
    if tools is None:
        return ToolsLock()
    names = {*tools.required, *tools.optional, *(each.name for each in tools.custom)}
    policy, owners = tools.policy, known.owners()
    definitions = {
        name: _choose(name, known.definitions.get(name), pin, agent, new_server=name.partition("__")[0] not in owners)
        for name, pin in {**known.definitions, **seen.definitions}.items()
        if name.partition("__")[0] in names
    }
    installs = {
        name: _choose_install(known.tools.get(name), seen.tools.get(name), policy.approved.get(name), planned.get(name))
        for name in sorted({*known.tools, *seen.tools} & names)
    }
    return ToolsLock(
        tools={name: each for name, each in installs.items() if each},
        definitions={name: each for name, each in sorted(definitions.items()) if each},
    )


def _choose(
    name: str, known: PinnedDefinition | None, seen: PinnedDefinition, agent: AgentType, *, new_server: bool
) -> PinnedDefinition | None:
    tools = agent.spec.tools
    if known == seen or tools is None:
        return known
    weak = tools.policy.pinning == "Warn"
    texts_only = tools.policy.pinning == "EnforceSchema" and known is not None and known.call_hash == seen.call_hash
    approved = tools.policy.approved.get(name) == seen.hash
    return seen if weak or texts_only or approved or (known is None and new_server) else known


def _choose_install(
    known: LockedTool | None, seen: LockedTool | None, approved: str | None, planned: PlannedTool | None
) -> LockedTool | None:
    """Another version is another pin, when it is the one that is asked for now; other bytes need approval."""
    if known is None or seen is None:
        return known or seen
    before, now = (known.version, known.constraints), (seen.version, seen.constraints)
    asked_for = planned is not None and before != now == planned.asks_for
    return seen if asked_for or approved == seen.sha256 else known


def _key(agent: AgentType) -> ObjectKey:
    identity = Identity.of(agent)
    return ObjectKey(identity.namespace, identity.tools_lock)


def _require_own(metadata: Manifest, obj: AgentObject, agent: AgentType) -> None:
    """A lock is of one AgentType, not of the next one with its name; one without an owner has lost it in a backup."""
    what = f"ConfigMap {_key(agent)}"
    owner = next((each for each in metadata.get("ownerReferences", ()) if each.get("controller")), None)
    if owner is not None and owner["uid"] != obj.metadata.uid:
        raise Conflict(f"{what} belongs to {owner['kind']} {owner['name']} with another UID and has to go first")
    if owner is None and metadata.get("labels", {}).get(AGENT_LABEL) != agent.metadata.name:
        raise Occupied(f"{what} exists already and was not made from here; rename or delete it", retry_after_s=30.0)


def _is_pinned(agent: AgentType) -> bool:
    return agent.spec.tools is not None and agent.spec.tools.policy.pinning != "Off"


def _with_lock(child: Manifest, lock: ToolsLock) -> Manifest:
    if lock == ToolsLock():
        return child
    config: dict[str, Any] = json.loads(child["data"][layout.TOOLS_KEY])
    config["lock"] = json.loads(lock.serialise())
    return {**child, "data": {**child["data"], layout.TOOLS_KEY: json.dumps(config, indent=2)}}


def _manifest(obj: AgentObject, agent: AgentType, lock: ToolsLock) -> Manifest:
    identity = Identity.of(agent)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**identity.metadata(identity.tools_lock), "ownerReferences": [owner_reference(obj)]},
        "data": {LOCK_KEY: lock.serialise()},
    }
