"""What goes wrong between the operator and the API server, and the operator itself: the end state is the same."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from aiohttp import web
from integration.api import CHILDREN, Document
from integration.cluster import Cluster
from integration.namespace import NGINX, Namespace
from integration.operating import Hire, OperatorProcess
from integration.proxy import Fault, Proxy
from integration.waiting import eventually

pytestmark = pytest.mark.step1

ALONE = "--leader-election=false"
SERVED = {"metadata", "status"}


def full(number: int) -> Document:
    """An agent with a child of each common kind."""
    files = [{"path": "words.txt", "content": str(number)}]
    return {**NGINX, "ports": [{"name": "http", "containerPort": 8080}], "environment": {"files": files}}


async def shapes(namespace: Namespace, names: list[str]) -> list[Document]:
    """What each agent has, with its name and number taken out: the same for all when all is well."""
    found: dict[str, Document] = {name: {} for name in names}
    for plural in CHILDREN:
        for child in await namespace.api.list(plural):
            owners = child["metadata"].get("ownerReferences", ())
            for owner in owners:
                if owner["kind"] == "AgentType" and owner["name"] in found:
                    found[owner["name"]][plural] = neutral(child, owner["name"])
    return list(found.values())


def neutral(child: Document, name: str) -> str:
    """A child's wanted state, as text, without what differs between two agents."""
    kept = {key: value for key, value in child.items() if key not in SERVED}
    spec = kept.get("spec", {})
    for field in ("clusterIP", "clusterIPs"):
        spec.pop(field, None)
    for annotations in (spec.get("template", {}).get("metadata", {}).get("annotations", {}),):
        annotations.pop("agents.example.com/init-hash", None)
    labels = sorted(child["metadata"]["labels"].items())
    number = name.rsplit("-", 1)[-1]
    text = f"{child['metadata']['name']} {labels} {kept}"
    return text.replace(name, "NAME").replace(f'"content": "{number}"', "CONTENT").replace(f'\\"{number}\\"', "CONTENT")


async def converge(namespace: Namespace, names: list[str]) -> None:
    """Returns when all are Running and Ready; then every one has what the others have."""
    for name in names:
        await namespace.reaches(name, "Running", ready="True")
    first, *others = await shapes(namespace, names)
    assert set(first) == {"serviceaccounts", "configmaps", "networkpolicies", "services", "deployments"}
    assert all(other == first for other in others)


async def test_killed_at_any_moment_and_started_again_it_ends_the_same(own_namespace: Namespace, hire: Hire) -> None:
    chance = random.Random(20)  # noqa: S311 - moments, not keys
    operator = hire(own_namespace, ALONE)
    await operator.ready()
    names = [f"agent-{number}" for number in range(10, 40)]
    await asyncio.gather(*(own_namespace.create(name, agent=full(int(name[-2:]))) for name in names))

    for _ in range(4):
        goal = min(len(names), await deployments(own_namespace) + chance.randint(1, 9))
        await eventually(partial(at_least, own_namespace, goal))
        await asyncio.sleep(chance.random() * 0.1)
        operator.kill()
        operator.start()

    await converge(own_namespace, names)
    await operator.ready()
    assert operator.problems() == []


async def deployments(namespace: Namespace) -> int:
    """How many there are."""
    return len(await namespace.api.list("deployments"))


async def at_least(namespace: Namespace, count: int) -> bool:
    return await deployments(namespace) >= count


def sometimes(chance: random.Random, share: float, fault: Fault) -> Fault:
    """`fault` for a share of all requests."""

    async def handle(request: web.Request) -> web.StreamResponse | None:
        return await fault(request) if chance.random() < share else None

    return handle


def status(code: int, reason: str, **headers: str) -> Fault:
    """A refusal in the server's form."""

    async def handle(_: web.Request) -> web.StreamResponse | None:
        document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
        return web.json_response({**document, "message": "injected"}, status=code, headers=headers)

    return handle


async def reset(request: web.Request) -> web.StreamResponse | None:
    """A connection that breaks."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response(status=502)


async def page(_: web.Request) -> web.StreamResponse | None:
    """A load balancer's error page."""
    return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")


def of_watches(fault: Fault) -> Fault:
    """`fault` for watches alone."""

    async def handle(request: web.Request) -> web.StreamResponse | None:
        return await fault(request) if "watch" in request.query else None

    return handle


def of_writes(fault: Fault) -> Fault:
    """`fault` for writes alone."""

    async def handle(request: web.Request) -> web.StreamResponse | None:
        return await fault(request) if request.method != "GET" else None

    return handle


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(status(500, "InternalError"), id="500"),
        pytest.param(status(429, "TooManyRequests", **{"Retry-After": "1"}), id="429"),
        pytest.param(of_writes(status(409, "Conflict")), id="409"),
        pytest.param(of_watches(status(410, "Expired")), id="410"),
        pytest.param(reset, id="reset"),
        pytest.param(page, id="502-page"),
    ],
)
@pytest.mark.timeout(300)
async def test_faults_of_a_quarter_of_all_requests(
    own_namespace: Namespace, hire: Hire, proxy: Proxy, fault: Fault
) -> None:
    proxy.fault = sometimes(random.Random(7), 0.25, fault)  # noqa: S311 - moments, not keys
    operator = hire(own_namespace, ALONE, proxy=proxy)
    names = [f"agent-{number}" for number in range(10, 14)]
    for name in names:
        await own_namespace.create(name, agent=full(int(name[-2:])))

    for name in names:  # of a dozen caches one may fail to be filled six times in a row, and backs off meanwhile
        await own_namespace.reaches(name, "Running", ready="True", within_s=150)
    proxy.fault = None

    await converge(own_namespace, names)
    await follows_edits(own_namespace, names[0])
    assert operator.problems() == []


async def follows_edits(namespace: Namespace, name: str) -> None:
    """An edit is carried out: the watches are alive."""
    await namespace.edit(name, agent={"image": "nginx:1.28"})

    async def carried_out() -> bool:
        deployment = await namespace.finds("deployments", name)
        return bool(deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.28")

    await eventually(carried_out)
    await namespace.reaches(name, "Running", ready="True")


async def test_connections_that_are_dead_without_a_word(own_namespace: Namespace, hire: Hire, proxy: Proxy) -> None:
    operator = hire(own_namespace, ALONE, "--watch-silence-s", "2", proxy=proxy)
    await operator.ready()
    await own_namespace.create("agent-10", agent=full(10))
    await own_namespace.reaches("agent-10", "Running", ready="True")

    proxy.freeze()
    await own_namespace.edit("agent-10", agent={"image": "nginx:1.28"})
    await asyncio.sleep(3)  # longer than the watches wait for a byte
    proxy.thaw()

    await follows_edits(own_namespace, "agent-10")
    assert operator.problems() == []


async def test_api_server_is_killed_and_started_again(own_namespace: Namespace, hire: Hire, cluster: Cluster) -> None:
    operator = hire(own_namespace, ALONE)
    await operator.ready()
    names = [f"agent-{number}" for number in range(10, 20)]
    for name in names[:5]:
        await own_namespace.create(name, agent=full(int(name[-2:])))

    await cluster.restart_api_server("--signal", "KILL")

    for name in names[5:]:
        await retried(partial(own_namespace.create, name, agent=full(int(name[-2:]))))
    await converge(own_namespace, names)
    await follows_edits(own_namespace, names[0])
    assert operator.problems() == []


async def retried(work: Callable[[], Awaitable[Document]]) -> None:
    """Until the server takes it: it has only just come back."""

    async def attempt() -> bool:
        await work()
        return True

    await eventually(attempt)


async def test_state_of_the_world_survives_a_lost_history(own_namespace: Namespace, hire: Hire, proxy: Proxy) -> None:
    """Watches that begin too far back are answered 410 until the operator lists again; meanwhile things vanish."""
    operator: OperatorProcess = hire(own_namespace, ALONE, proxy=proxy)
    await operator.ready()
    names = ["agent-10", "agent-11"]
    for name in names:
        await own_namespace.create(name, agent=full(int(name[-2:])))
    await converge(own_namespace, names)

    expired: set[str] = set()

    async def once_each(request: web.Request) -> web.StreamResponse | None:
        if "watch" not in request.query or request.path in expired:
            return None
        expired.add(request.path)
        return await status(410, "Expired")(request)

    proxy.fault = once_each
    proxy.cut()
    for plural in ("services", "configmaps"):
        for child in await own_namespace.api.list(plural, "app.kubernetes.io/managed-by=agentberth"):
            await own_namespace.api.delete(plural, child["metadata"]["name"])

    async def back() -> bool:
        await converge(own_namespace, names)
        return len(expired) >= 7

    await eventually(back)
    assert operator.problems() == []
