"""What is sent for a memory's server, and what never is, against the fake API server over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from libs.kube.tests import faults
from libs.kube.tests.fake_api import FakeApi
from services.operator.tests.operator_objects import agent, pod, state

from agent_api.agenttype import AgentType
from agent_kube import Applier, Client, ObjectKey, Request, Stores
from agent_operator.objects import AgentObject, ClaimObject, ServerObject
from agent_operator.sources import (
    AGENT_TYPES,
    AGENTS,
    ALL,
    CLAIMS,
    CORE_EVENTS,
    SECRETS,
    STATEFUL_SETS,
    STATEFULSET_SOURCE,
    VOLUME_CLAIMS,
)
from agent_operator.status.finding import Finding
from agent_operator.status.memory import REMAKE_S, RESIZE_AGAIN_S, MemoryKeeper, ServerState
from agent_render import PlatformSettings, render

OBJ = msgspec.json.decode(
    b'{"metadata": {"name": "subject", "namespace": "team", "uid": "uid-agent"}, "spec": {}}', type=AgentObject
)
FLEETING, LASTING = agent(memory={"size": "16Mi"}), agent(memory={"size": "16Mi", "config": {"persistence": True}})
NAME = "subject-memory"
MISSING = Finding("SecretMissing", f'secret "{NAME}" not found')


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi([SECRETS, STATEFUL_SETS, VOLUME_CLAIMS, CORE_EVENTS, AGENT_TYPES]) as server:
        metadata = {"name": "subject", "namespace": "team"}
        document = {"apiVersion": AGENT_TYPES.api_version, "kind": "AgentType", "metadata": metadata}
        server.create(AGENT_TYPES, {**document, "spec": {"suspend": False}})
        yield server


@pytest.fixture
async def client(api: FakeApi) -> AsyncIterator[Client]:
    async with api.client() as opened:
        yield opened


@pytest.fixture
def stores() -> Stores:
    return Stores(ALL)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeper(client: Client, stores: Stores, clock: Clock) -> MemoryKeeper:
    applier = Applier(client, stores, root=AGENTS, field_manager="us", mark="mark")
    return MemoryKeeper(client, stores, applier, field_manager="us", password=lambda: "made-up", clock=clock)


def live(*, size: str = "", owner: str = "uid-agent", uid: str = "uid-server", ready: int = 1) -> ServerObject:
    """A StatefulSet, with a claim when it has a size."""
    templates = [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}}]
    document = {
        "metadata": {
            "name": NAME,
            "namespace": "team",
            "uid": uid,
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "spec": {"volumeClaimTemplates": templates if size else []},
        "status": {"readyReplicas": ready},
    }
    return msgspec.convert(document, ServerObject)


def claim(size: str) -> ClaimObject:
    document = {
        "metadata": {"name": f"data-{NAME}-0", "namespace": "team", "uid": "uid-claim"},
        "spec": {"resources": {"requests": {"storage": size}}},
    }
    return msgspec.convert(document, ClaimObject)


def request() -> Request:
    return Request(ObjectKey("team", "subject"), "id")


async def prepared(keeper: MemoryKeeper, subject: AgentType) -> tuple[list[Any], Any]:
    children, refusal = await keeper.prepare(request(), OBJ, subject, render(subject, PlatformSettings()))
    return [child for child in children if child["kind"] == "StatefulSet"], refusal


async def look(keeper: MemoryKeeper, subject: AgentType, fault: Finding | None = None) -> ServerState:
    state = await keeper.inspect_memory(request(), OBJ, subject, [], fault)
    assert state is not None
    return state


async def test_secret_is_made_before_the_server_and_owned_by_the_agent(api: FakeApi, keeper: MemoryKeeper) -> None:
    servers, refusal = await prepared(keeper, FLEETING)

    secret = api.read(SECRETS, NAME, "team")
    assert secret["stringData"] == {"password": "made-up"}
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "uid-agent"
    assert (len(servers), refusal) == (1, None)


def remembering(state: str) -> AgentObject:
    """The agent as a later operator sees it."""
    document = {"metadata": {"name": "subject", "namespace": "team", "uid": "uid-agent"}, "spec": {}}
    status = {"memorySecret": state} if state else {}
    return msgspec.json.decode(msgspec.json.encode({**document, "status": status}), type=AgentObject)


@pytest.mark.parametrize("state, ours", [("", False), ("Taken", False), ("Making", True), ("Made", True)], ids=str)
async def test_a_secret_that_exists_is_used_only_when_it_was_made_here(
    api: FakeApi, keeper: MemoryKeeper, state: str, ours: bool
) -> None:
    """Making: an operator was ended before it could tell that it had made it."""
    own = {"metadata": {"name": NAME, "namespace": "team"}, "stringData": {"password": "chosen"}}
    api.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", **own})
    obj = remembering(state)

    for _ in range(2):
        children, refusal = await keeper.prepare(request(), obj, FLEETING, render(FLEETING, PlatformSettings()))
        servers = [child for child in children if child["kind"] == "StatefulSet"]
        assert (len(servers), refusal is None) == ((1, True) if ours else (0, False))
        assert refusal is None or "exists already and was not made for this agent" in str(refusal.error)

    assert api.read(SECRETS, NAME, "team")["stringData"] == {"password": "chosen"}
    assert keeper.secret_of(obj) == ("Made" if ours else "Taken")


async def test_that_the_secret_is_being_made_is_written_before_it_is(api: FakeApi, keeper: MemoryKeeper) -> None:
    api.fault(faults.refuse(500, "InternalError", "no"), "create", "secrets")
    await prepared(keeper, FLEETING)

    assert api.read(AGENT_TYPES, "subject", "team")["status"] == {"memorySecret": "Making"}


async def test_without_its_secret_no_server_is_made(api: FakeApi, keeper: MemoryKeeper) -> None:
    """A server that exists means that its Secret was made."""
    api.fault(faults.refuse(403, "Forbidden", "no right to create secrets"), "create", "secrets")

    servers, refusal = await prepared(keeper, FLEETING)

    assert servers == []
    assert refusal is not None
    assert (refusal.kind, refusal.key.name) == ("Secret", NAME)


async def test_nothing_is_asked_about_the_secret_of_a_server_that_exists(
    api: FakeApi, keeper: MemoryKeeper, stores: Stores
) -> None:
    stores[STATEFULSET_SOURCE].put("", live())

    await prepared(keeper, FLEETING)
    assert await look(keeper, FLEETING) == ServerState(ready=True)

    assert api.calls == []


async def test_secret_that_the_kubelet_misses_is_made_anew_once_a_minute(
    api: FakeApi, keeper: MemoryKeeper, stores: Stores, clock: Clock
) -> None:
    stores[STATEFULSET_SOURCE].put("", live())

    found = [await look(keeper, FLEETING, MISSING) for _ in range(3)][-1]

    assert found.finding is not None
    assert "created again, with a new password" in found.finding.message
    assert len(api.called("create", "secrets")) == 1
    clock.now += REMAKE_S
    await look(keeper, FLEETING, MISSING)
    assert len(api.called("create", "secrets")) == 2


async def test_secret_of_somebody_else_is_not_made(api: FakeApi, keeper: MemoryKeeper, stores: Stores) -> None:
    stores[STATEFULSET_SOURCE].put("", live())

    await look(keeper, FLEETING, Finding("SecretMissing", 'secret "openai" not found'))

    assert api.calls == []


async def test_fault_of_the_servers_pod_is_told(keeper: MemoryKeeper, stores: Stores) -> None:
    stores[STATEFULSET_SOURCE].put("", live(ready=0))
    crashing = pod(state("redis", waiting={"reason": "CrashLoopBackOff"}, last={"exitCode": 1}))

    found = await keeper.inspect_memory(request(), OBJ, FLEETING, [crashing], None)

    assert found is not None
    assert not found.ready
    assert found.finding is not None
    assert found.finding.message == "the memory's Pod: container redis: ended with exit code 1"


async def test_template_of_a_claim_is_sent_as_it_was_made(keeper: MemoryKeeper, stores: Stores) -> None:
    stores[STATEFULSET_SOURCE].put("", live(size="24Mi"))

    ([server], _) = await prepared(keeper, LASTING)

    (template,) = server["spec"]["volumeClaimTemplates"]
    assert template["spec"]["resources"]["requests"]["storage"] == "24Mi"


@pytest.mark.parametrize("owner, remade", [("uid-agent", True), ("uid-before", False)])
async def test_server_that_is_to_have_a_claim_is_made_anew_if_it_is_ours(
    api: FakeApi, keeper: MemoryKeeper, stores: Stores, owner: str, remade: bool
) -> None:
    there = {"metadata": {"name": NAME, "namespace": "team"}, "spec": {"replicas": 1}}
    made = api.create(STATEFUL_SETS, {"apiVersion": "apps/v1", "kind": "StatefulSet", **there})
    stores[STATEFULSET_SOURCE].put("", live(owner=owner, uid=made["metadata"]["uid"]))

    servers, _ = await prepared(keeper, LASTING)

    assert bool(api.called("delete", "statefulsets")) == remade
    assert (servers == []) == remade


async def test_claim_grows_and_never_shrinks(api: FakeApi, keeper: MemoryKeeper, stores: Stores) -> None:
    stores[STATEFULSET_SOURCE].put("", live(size="24Mi"))
    stores[CLAIMS].put("", claim("24Mi"))
    document = {"metadata": {"name": f"data-{NAME}-0", "namespace": "team"}, "spec": {"volumeMode": "Filesystem"}}
    api.create(VOLUME_CLAIMS, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **document})

    assert await look(keeper, LASTING) == ServerState(ready=True, claim="24Mi")

    grown = api.read(VOLUME_CLAIMS, f"data-{NAME}-0", "team")
    assert grown["spec"]["resources"]["requests"]["storage"] == "48Mi"
    stores[CLAIMS].put("", claim("96Mi"))
    assert (await look(keeper, LASTING)).note == "the claim stays at 96Mi: claims do not shrink"
    assert len(api.called("patch", "persistentvolumeclaims")) == 1


async def test_claim_that_cannot_grow_is_tried_again_later(
    api: FakeApi, keeper: MemoryKeeper, stores: Stores, clock: Clock
) -> None:
    stores[STATEFULSET_SOURCE].put("", live(size="24Mi"))
    stores[CLAIMS].put("", claim("24Mi"))
    api.fault(faults.refuse(403, "Forbidden", "the class does not allow it"), "patch", "persistentvolumeclaims")

    found = [await look(keeper, LASTING) for _ in range(3)]

    assert {each.finding.reason for each in found if each.finding} == {"ClaimNotResized"}
    assert len(api.called("patch", "persistentvolumeclaims")) == 1
    clock.now += RESIZE_AGAIN_S
    await look(keeper, LASTING)
    assert len(api.called("patch", "persistentvolumeclaims")) == 2
