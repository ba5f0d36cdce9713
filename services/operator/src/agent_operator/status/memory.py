"""The server of an agent's own memory: its Secret, which is made and never read, its claim, and how it stands.

The Secret is made before the StatefulSet, so a StatefulSet that exists had its Secret. Whether it still has it only
the kubelet can tell: what it misses is made anew, with another password, and the server follows.

Whose a Secret is cannot be read either, so `status.memorySecret` remembers: Making before the Secret is made for the
first time, Made after it, Taken when there was one already. A password that somebody else knows is never used.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from agent_api.agenttype import AgentType, Reason
from agent_api.agenttype.scalars import size_bytes
from agent_kube import (
    AlreadyExists,
    Applied,
    Applier,
    Client,
    Forbidden,
    Invalid,
    Manifest,
    NotFound,
    ObjectKey,
    Occupied,
    Refusal,
    Request,
    ServerFault,
    Stores,
)
from agent_operator.objects import AgentObject, PodObject, ServerObject
from agent_operator.owning import owner_reference
from agent_operator.sources import AGENT_TYPES, CLAIMS, SECRETS, STATEFULSET_SOURCE
from agent_operator.status.finding import Finding
from agent_operator.status.podfaults import explain
from agent_operator.status.stall import StallFinder
from agent_render.containers import redisserver
from agent_render.containers.memoryaccess import PASSWORD_KEY
from agent_render.identity import Identity

REMAKE_S: Final = 60.0  # the kubelet needs this long to see a Secret that was made anew
RESIZE_AGAIN_S: Final = 600.0  # a storage class may come to allow it
FORGET_AT: Final = 10_000
MAKING: Final = "Making"
MADE: Final = "Made"
TAKEN: Final = "Taken"
EXISTS: Final = "exists"


def new_password() -> str:
    """256 bits, in characters that need no escape in a URL."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class ServerState:
    """How an agent's own server stands. `finding` is why it is not as wanted, `note` what else is to be said."""

    ready: bool
    finding: Finding | None = None
    note: str = ""
    claim: str = ""
    """Size of the claim as the server has it; "" without one."""


class MemoryKeeper:
    """One for the operator. Its memory is of what was tried lately, and may be lost."""

    def __init__(
        self,
        client: Client,
        stores: Stores,
        applier: Applier,
        *,
        field_manager: str,
        password: Callable[[], str] = new_password,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._stores = stores
        self._applier = applier
        self._stalls = StallFinder(client)
        self._manager = field_manager
        self._password = password
        self._clock = clock
        self._made: dict[str, float] = {}
        self._secrets: dict[str, str] = {}
        self._refused: dict[tuple[str, int], tuple[float, str]] = {}

    async def prepare(
        self, request: Request, obj: AgentObject, agent: AgentType, children: tuple[Manifest, ...]
    ) -> tuple[tuple[Manifest, ...], Refusal | None]:
        """`children` as they can be applied now: with the Secret made, and nothing changed that cannot be changed."""
        server = next((child for child in children if child["kind"] == "StatefulSet"), None)
        if server is None or agent.spec.memory is None or not agent.spec.memory.own_server:
            return children, None
        others = tuple(child for child in children if child is not server)
        live = self._stores[STATEFULSET_SOURCE].get(_key(agent))
        if live is None:
            refusal = await self._first_secret(request, obj, agent)
            return (others, refusal) if refusal else (children, None)
        mine = live.metadata.controller_uid == obj.metadata.uid
        if mine:
            self._note(obj, MADE)
        if mine and live.keeps != ("volumeClaimTemplates" in server["spec"]):
            await self._applier.delete(
                request, STATEFULSET_SOURCE, live
            )  # the next pass makes it anew: templates are immutable
            return others, None
        return tuple(_with_claim_of(live, child) if child is server else child for child in children), None

    async def inspect_memory(
        self,
        request: Request,
        obj: AgentObject,
        agent: AgentType,
        pods: Sequence[PodObject],
        agent_fault: Finding | None,
    ) -> ServerState | None:
        """How the server stands, once what can be mended was tried; `pods` are the server's, the newest first.

        None when the agent has no server of its own.
        """
        memory = agent.spec.memory
        if memory is None or not memory.own_server:
            return None
        state = ServerState(ready=self._is_ready(agent))
        fault = None if state.ready else await self._fault(pods)
        missed = next((each for each in (fault, agent_fault) if each and _misses(each, agent)), None)
        if missed is not None:
            await self._remake_secret(request, obj, agent)
            fault = replace(missed, message=f"{missed.message}: it is created again, with a new password")
        state = replace(state, finding=fault)
        return await self._fit_claim(request, agent, state) if memory.persistent else state

    def _is_ready(self, agent: AgentType) -> bool:
        live = self._stores[STATEFULSET_SOURCE].get(_key(agent))
        if live is None or live.status.observed_generation < live.metadata.generation:
            return False
        return live.status.ready_replicas >= max(1, live.spec.replicas)

    async def _fault(self, pods: Sequence[PodObject]) -> Finding | None:
        found = next(filter(None, map(explain, pods)), None) or await self._stalls.of_pods(pods)
        return replace(found, message=f"the memory's Pod: {found.message}") if found else None

    def secret_of(self, obj: AgentObject) -> str:
        """`status.memorySecret`; "" for an agent that never had a memory of its own."""
        return self._secrets.get(obj.metadata.uid) or msgspec.json.decode(obj.status, type=_Remembered).memory_secret

    def _note(self, obj: AgentObject, state: str) -> None:
        self._secrets[obj.metadata.uid] = state
        while len(self._secrets) > FORGET_AT:
            del self._secrets[next(iter(self._secrets))]

    async def _first_secret(self, request: Request, obj: AgentObject, agent: AgentType) -> Refusal | None:
        """None once there is a Secret that was made here."""
        known = self.secret_of(obj)
        if not known:
            change = {"status": {"memorySecret": MAKING}}
            await self._client.patch(AGENT_TYPES, obj.key, change, subresource="status", field_manager=self._manager)
            request.writes.count += 1
        refusal = await self._make_secret(request, obj, agent)
        if isinstance(refusal, Refusal):
            return refusal
        if refusal == EXISTS and known not in {MAKING, MADE}:
            self._note(obj, TAKEN)
            text = f"Secret {_key(agent)} exists already and was not made for this agent; rename or delete it"
            return Refusal("Secret", _key(agent), Occupied(text, retry_after_s=5.0))
        self._note(obj, MADE)
        return None

    async def _make_secret(self, request: Request, obj: AgentObject, agent: AgentType) -> Refusal | str:
        self._made[obj.metadata.uid] = self._clock()
        while len(self._made) > FORGET_AT:
            del self._made[next(iter(self._made))]
        try:
            await self._client.post(SECRETS, _secret(obj, agent, self._password()), field_manager=self._manager)
        except AlreadyExists:
            return EXISTS
        except (Forbidden, Invalid, NotFound, ServerFault) as error:
            return Refusal("Secret", _key(agent), error)
        request.writes.count += 1
        return MADE

    async def _remake_secret(self, request: Request, obj: AgentObject, agent: AgentType) -> None:
        made = self._made.get(obj.metadata.uid)
        if made is None or self._clock() - made >= REMAKE_S:
            await self._make_secret(request, obj, agent)

    async def _fit_claim(self, request: Request, agent: AgentType, state: ServerState) -> ServerState:
        memory = agent.spec.memory
        key = _key(agent)
        claim = self._stores[CLAIMS].get(ObjectKey(key.namespace, f"{redisserver.DATA_VOLUME}-{key.name}-0"))
        if memory is None or claim is None:
            return state
        size, wanted = claim.spec.size, redisserver.claim_bytes(memory)
        state = replace(state, claim=size)
        if not size or wanted == size_bytes(size):
            return state
        if wanted < size_bytes(size):
            return replace(state, note=f"the claim stays at {size}: claims do not shrink")
        refused = await self._grow(request, claim.metadata.uid, claim.key, wanted)
        if refused and state.finding is None:
            text = f"the claim stays at {size} and should be {redisserver.claim_size(memory)}: {refused}"
            return replace(state, finding=Finding(Reason.CLAIM_NOT_RESIZED, text))
        return state

    async def _grow(self, request: Request, uid: str, key: ObjectKey, wanted: int) -> str:
        """Why the claim cannot grow, "" when it does."""
        at, refused = self._refused.get((uid, wanted), (0.0, ""))
        if refused and self._clock() - at < RESIZE_AGAIN_S:
            return refused
        change = {"spec": {"resources": {"requests": {"storage": f"{wanted >> 20}Mi"}}}}
        try:
            await self._client.patch(CLAIMS.resource, key, change, field_manager=self._manager)
        except (Forbidden, Invalid, ServerFault) as error:
            self._refused[uid, wanted] = (self._clock(), str(error))
            while len(self._refused) > FORGET_AT:
                del self._refused[next(iter(self._refused))]
            return str(error)
        request.writes.count += 1
        return ""


class _Remembered(msgspec.Struct, frozen=True, rename="camel"):
    memory_secret: str = ""


def _key(agent: AgentType) -> ObjectKey:
    identity = Identity.of(agent)
    return ObjectKey(identity.namespace, identity.memory)


def _misses(finding: Finding, agent: AgentType) -> bool:
    """The kubelet's words name the Secret."""
    return finding.reason == Reason.SECRET_MISSING and f'"{_key(agent).name}" not found' in finding.message


def _with_claim_of(live: ServerObject, manifest: Manifest) -> Manifest:
    """The manifest with the claim as it was first asked for; the claim itself grows by `MemoryKeeper`."""
    if not live.keeps:
        return manifest
    (template,) = manifest["spec"]["volumeClaimTemplates"]
    rest = {key: value for key, value in template["spec"].items() if key != "storageClassName"}
    made: Manifest = {"resources": {"requests": {"storage": live.claim_size}}}
    if live.claim_class:
        made["storageClassName"] = live.claim_class
    kept = {**template, "spec": {**rest, **made}}
    return {**manifest, "spec": {**manifest["spec"], "volumeClaimTemplates": [kept]}}


def _secret(obj: AgentObject, agent: AgentType, password: str) -> dict[str, Any]:
    identity = Identity.of(agent)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**identity.metadata(identity.memory, "memory"), "ownerReferences": [owner_reference(obj)]},
        "stringData": {PASSWORD_KEY: password},
    }


def add_refusal(applied: Applied, refusal: Refusal | None) -> None:
    """Count a Secret that the server did not take among the children."""
    if refusal is not None:
        applied.refused.insert(0, refusal)
