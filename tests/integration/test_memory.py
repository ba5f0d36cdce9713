"""Step 4, the memory: what is made for it, what is kept of it, and a password that nobody but its users sees."""

import base64
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from integration.api import Document
from integration.kubelet import ON_HAND, Kubelet, waiting
from integration.namespace import Namespace, condition
from integration.operating import Hire
from integration.proxy import Proxy
from integration.waiting import eventually

pytestmark = pytest.mark.step4

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = "/api/v1/persistentvolumes"
PERSISTENT: Document = {"size": "16Mi", "config": {"persistence": True}}
BY_HAND: Document = {"memory": ON_HAND["agent"]}


async def memory_ready(namespace: Namespace, name: str, status: str, reason: str) -> Document:
    """The condition, once it says so of the present spec."""

    async def look() -> Document:
        agent = await namespace.agent(name)
        found = condition(agent, "MemoryReady")
        assert found.get("observedGeneration") == agent["metadata"]["generation"], found
        assert (found["status"], found["reason"]) == (status, reason), found
        return found

    return await eventually(look)


async def password(namespace: Namespace, name: str) -> str:
    """What the Secret holds."""
    return base64.b64decode((await namespace.finds("secrets", f"{name}-memory"))["data"]["password"]).decode()


@pytest.fixture
async def expandable(namespace: Namespace) -> AsyncIterator[str]:
    """Three volumes, of the default class, whose claims may grow."""
    async for name in storage(namespace, grows=True):
        yield name


@pytest.fixture
async def rigid(namespace: Namespace) -> AsyncIterator[str]:
    """The same, but no claim may grow."""
    async for name in storage(namespace, grows=False):
        yield name


async def storage(namespace: Namespace, *, grows: bool) -> AsyncIterator[str]:
    name = f"memory-{uuid.uuid4().hex[:8]}"
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    document: Document = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": default},
        "provisioner": "kubernetes.io/no-provisioner",
        "allowVolumeExpansion": grows,
    }
    await namespace.api.call("POST", CLASSES, document)
    for number in range(3):
        spec: Document = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": f"/nowhere/{name}-{number}"},
        }
        volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"{name}-{number}"}}
        await namespace.api.call("POST", VOLUMES, {**volume, "spec": spec})
    try:
        yield name
    finally:
        await namespace.api.call("DELETE", f"{CLASSES}/{name}")
        for number in range(3):
            await namespace.api.call("DELETE", f"{VOLUMES}/{name}-{number}")


async def test_redis_is_made_with_a_password_that_the_operator_never_reads(
    own_namespace: Namespace, hire: Hire, proxy: Proxy
) -> None:
    operator = hire(own_namespace, "--leader-election=false", "--resync-s", "1", proxy=proxy)
    await own_namespace.create("sage", memory={"size": "16Mi"})
    await own_namespace.reaches("sage", "Running", ready="True")
    await memory_ready(own_namespace, "sage", "True", "Ready")

    secret = await password(own_namespace, "sage")
    assert len(secret) >= 43
    children = await own_namespace.children("sage")
    assert children["statefulsets"] == ["sage-memory"]
    assert children["services"] == ["sage-memory"]
    operator.kill()
    operator.start()
    await operator.ready()

    async def passed() -> bool:
        return await operator.metric("controller_runtime_reconcile_total") >= 3

    await eventually(passed)
    asked = [(each.method, each.query) for each in proxy.exchanges if "/secrets" in each.path]
    assert [method for method, _ in asked] == ["POST"]
    assert await password(own_namespace, "sage") == secret
    assert secret not in operator.text
    for plural in ("agenttypes", "statefulsets", "deployments", "configmaps", "services", "pods", "events"):
        assert secret not in str(await own_namespace.api.list(plural))


async def test_everything_of_a_memory_is_owned_and_goes_with_the_agent(namespace: Namespace) -> None:
    agent = await namespace.create("brief", memory={"size": "16Mi"})
    await memory_ready(namespace, "brief", "True", "Ready")
    for plural in ("secrets", "services", "statefulsets"):
        (owner,) = (await namespace.finds(plural, "brief-memory"))["metadata"]["ownerReferences"]
        assert owner["uid"] == agent["metadata"]["uid"]

    await namespace.api.delete("agenttypes", "brief")

    async def gone() -> bool:
        found = [await namespace.api.find(plural, "brief-memory") for plural in ("secrets", "services", "statefulsets")]
        return found == [None, None, None]

    await eventually(gone)


async def test_server_goes_when_the_memory_is_taken_back_and_the_agent_stays(namespace: Namespace) -> None:
    await namespace.create("fickle", memory={"size": "16Mi"})
    await memory_ready(namespace, "fickle", "True", "Ready")

    await namespace.edit("fickle", memory=None)

    async def gone() -> bool:
        return await namespace.api.find("statefulsets", "fickle-memory") is None

    await eventually(gone)
    agent = await namespace.reaches("fickle", "Running", ready="True")
    assert condition(agent, "MemoryReady") == {}
    assert "memoryStatus" not in agent["status"]


@pytest.mark.long
async def test_secret_that_was_deleted_is_named_and_made_anew(namespace: Namespace, kubelet: Kubelet) -> None:
    await namespace.create("robbed", memory={"size": "16Mi"}, resources=BY_HAND)
    pod = await namespace.finds("pods", "robbed-memory-0")
    before = await password(namespace, "robbed")
    await namespace.api.delete("secrets", "robbed-memory")
    await kubelet.take(pod)
    await kubelet.report("robbed-memory-0", "Pending", main={"redis": waiting("ContainerCreating")})
    said = 'MountVolume.SetUp failed for volume "password" : secret "robbed-memory" not found'
    await kubelet.warn(pod, "FailedMount", said)
    await namespace.api.patch("pods", "robbed-memory-0", {"metadata": {"annotations": {"seen": "now"}}})

    found = await memory_ready(namespace, "robbed", "False", "SecretMissing")

    assert "created again, with a new password" in found["message"]

    async def remade() -> bool:
        secret = await namespace.api.find("secrets", "robbed-memory")
        return secret is not None

    await eventually(remade, within_s=120)
    assert await password(namespace, "robbed") != before


async def test_claim_grows_with_the_size(namespace: Namespace, expandable: str) -> None:
    await namespace.create("growing", memory=PERSISTENT)
    await memory_ready(namespace, "growing", "True", "Ready")

    await namespace.edit("growing", memory={"size": "32Mi"})

    async def grown() -> bool:
        claim = await namespace.api.get("persistentvolumeclaims", "data-growing-memory-0")
        return bool(claim["spec"]["resources"]["requests"]["storage"] == "96Mi")

    await eventually(grown)
    await memory_ready(namespace, "growing", "True", "Ready")
    (container,) = (await namespace.finds("statefulsets", "growing-memory"))["spec"]["template"]["spec"]["containers"]
    assert str(32 << 20) in container["args"]


async def test_claim_that_cannot_grow_is_said_and_asked_for_once(
    own_namespace: Namespace, hire: Hire, proxy: Proxy, rigid_own: str
) -> None:
    operator = hire(own_namespace, "--leader-election=false", "--resync-s", "1", proxy=proxy)
    await own_namespace.create("tight", memory=PERSISTENT)
    await memory_ready(own_namespace, "tight", "True", "Ready")

    await own_namespace.edit("tight", memory={"size": "32Mi"})

    found = await memory_ready(own_namespace, "tight", "False", "ClaimNotResized")
    assert "stays at 48Mi and should be 96Mi" in found["message"]
    start = await operator.metric("controller_runtime_reconcile_total")

    async def passed() -> bool:
        return await operator.metric("controller_runtime_reconcile_total") >= start + 3

    await eventually(passed)
    asked = [each for each in proxy.exchanges if "/persistentvolumeclaims/" in each.path and each.method == "PATCH"]
    assert len(asked) == 1
    assert operator.problems() == []
    await own_namespace.edit("tight", memory={"size": "8Mi"})
    smaller = await memory_ready(own_namespace, "tight", "True", "Ready")
    assert "claims do not shrink" in smaller["message"]


@pytest.fixture
async def rigid_own(own_namespace: Namespace) -> AsyncIterator[str]:
    """As `rigid`, for tests with an operator of their own."""
    async for name in storage(own_namespace, grows=False):
        yield name


async def test_persistence_can_be_turned_on_and_off(namespace: Namespace, rigid: str) -> None:
    await namespace.create("moody", memory={"size": "16Mi"})
    await memory_ready(namespace, "moody", "True", "Ready")
    first = (await namespace.finds("statefulsets", "moody-memory"))["metadata"]["uid"]

    await namespace.edit("moody", memory={"config": {"persistence": True}})

    async def lasting() -> Document:
        found = await namespace.finds("statefulsets", "moody-memory")
        assert found["metadata"]["uid"] != first
        assert found["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "48Mi"
        return found

    await eventually(lasting)
    await memory_ready(namespace, "moody", "True", "Ready")
    await namespace.edit("moody", memory={"config": {"persistence": False}})

    async def fleeting() -> bool:
        found = await namespace.finds("statefulsets", "moody-memory")
        return "volumeClaimTemplates" not in found["spec"]

    await eventually(fleeting)
    assert await namespace.api.find("persistentvolumeclaims", "data-moody-memory-0") is not None


@pytest.mark.parametrize("policy", ["retain", "delete"])
async def test_data_is_kept_or_deleted_with_the_agent_as_asked(namespace: Namespace, rigid: str, policy: str) -> None:
    config: dict[str, Any] = {"persistence": True, "deletionPolicy": policy}
    await namespace.create("mortal", memory={"size": "16Mi", "config": config})
    await memory_ready(namespace, "mortal", "True", "Ready")

    async def owned() -> bool:
        claim = await namespace.api.get("persistentvolumeclaims", "data-mortal-memory-0")
        return bool(claim["metadata"].get("ownerReferences")) == (policy == "delete")

    await eventually(owned)
    await namespace.api.delete("agenttypes", "mortal")

    async def ended() -> bool:
        pods = await namespace.api.find("pods", "mortal-memory-0")
        claim = await namespace.api.find("persistentvolumeclaims", "data-mortal-memory-0")
        dying = claim is None or "deletionTimestamp" in claim["metadata"]
        return pods is None and dying == (policy == "delete")

    await eventually(ended)


async def test_suspended_agent_keeps_what_its_memory_holds(namespace: Namespace, rigid: str) -> None:
    await namespace.create("lasting", memory=PERSISTENT)
    await namespace.create("fleeting", memory={"size": "16Mi"})
    for name in ("lasting", "fleeting"):
        await memory_ready(namespace, name, "True", "Ready")
        await namespace.edit(name, suspend=True)

    async def stopped() -> bool:
        return await namespace.api.find("pods", "lasting-memory-0") is None

    await eventually(stopped)
    assert await namespace.api.find("persistentvolumeclaims", "data-lasting-memory-0") is not None
    assert await namespace.api.find("pods", "fleeting-memory-0") is not None
    agent = await namespace.says("lasting", "Suspended")
    assert condition(agent, "MemoryReady")["reason"] == "Suspended"
