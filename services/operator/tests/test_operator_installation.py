"""Two installations that see one agent: who works, who stands still, and when one takes over."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from agent_kube import ObjectKey, ObjectMeta, Request, RequeueAfter, Stores
from agent_operator.installation import LOOK_S, TRUST_S, Installations, asked
from agent_operator.objects import AgentObject
from agent_operator.sources import AGENTS

KEY = ObjectKey("team", "subject")
SILENCE_S = 60.0


@dataclass
class Cluster:
    """One agent as all see it, and what was written and said."""

    status: dict[str, Any] = field(default_factory=dict)
    version: int = 1
    writes: list[dict[str, Any]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    at: float = 1000.0
    stores: Stores = field(default_factory=lambda: Stores([AGENTS]))

    async def patch(self, _resource: Any, _key: ObjectKey, change: dict[str, Any], *, subresource: str) -> ObjectMeta:
        assert subresource == "status"
        assert change["metadata"]["resourceVersion"] == str(self.version)
        self.writes.append(change["status"])
        self.status |= change["status"]
        self.version += 1
        return ObjectMeta(resource_version=str(self.version))

    def event(self, _resource: Any, _obj: Any, kind: str, reason: str, _action: str, message: str) -> None:
        assert (kind, reason) == ("Warning", "OtherInstallation")
        self.events.append(message)

    def clock(self) -> float:
        return self.at

    def joins(self, name: str) -> Installations:
        return Installations(self, self.stores, self, name=name, silence_s=SILENCE_S, clock=self.clock)  # type: ignore[arg-type]


def agent_of(cluster: Cluster, name: str = "subject") -> AgentObject:
    document = {
        "metadata": {"name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": str(cluster.version)},
        "spec": {},
        "status": cluster.status,
    }
    return msgspec.json.decode(msgspec.json.encode(document), type=AgentObject)


async def look(cluster: Cluster, who: Installations, name: str = "subject") -> Any:
    return await who.yield_to_other(Request(ObjectKey("team", name), "id"), agent_of(cluster, name))


def answer(cluster: Cluster, who: Installations) -> None:
    """What a pass of a living installation writes."""
    cluster.status = who.marked({**cluster.status, "phase": "Running"})
    cluster.version += 1


async def test_an_agent_without_a_mark_is_anybodys() -> None:
    cluster = Cluster()
    assert await look(cluster, cluster.joins("a/one")) is None
    assert cluster.writes == []


async def test_the_second_asks_once_hears_the_first_and_stands_still() -> None:
    cluster = Cluster()
    first, second = cluster.joins("a/one"), cluster.joins("b/two")
    answer(cluster, first)

    assert await look(cluster, second) == RequeueAfter(LOOK_S)
    assert cluster.writes == [{"contender": "b/two"}]
    assert asked(agent_of(cluster)) == (KEY,)
    assert not second.is_ours(agent_of(cluster))

    assert await look(cluster, first) is None
    assert cluster.events[-1] == "installation b/two watches this agent too, and leaves it alone"
    answer(cluster, first)
    assert asked(agent_of(cluster)) == ()

    cluster.at += LOOK_S
    for _ in range(5):
        assert await look(cluster, second) == RequeueAfter(TRUST_S / 2)
    assert len(cluster.writes) == 1
    assert "1 agents are left alone: installation a/one works on them" in (second.standing_still() or "")
    assert first.standing_still() is None
    assert len(cluster.events) == 2


async def test_an_old_state_in_the_cache_is_no_answer() -> None:
    cluster = Cluster()
    answer(cluster, cluster.joins("a/one"))
    second, stale = cluster.joins("b/two"), agent_of(cluster)
    await look(cluster, second)

    for _ in range(20):
        cluster.at += LOOK_S
        await second.yield_to_other(Request(KEY, "id"), stale)
    assert not second.is_ours(agent_of(cluster))
    cluster.at += SILENCE_S
    assert await look(cluster, second) is None


async def test_who_does_not_answer_is_replaced_on_all_its_agents() -> None:
    cluster = Cluster()
    answer(cluster, cluster.joins("a/one"))
    second = cluster.joins("b/two")
    await look(cluster, second)
    waits = await look(cluster, second, "other")
    assert waits.seconds > SILENCE_S - 1
    cluster.at += SILENCE_S - 1
    assert await look(cluster, second) is not None
    cluster.at += 1

    assert await look(cluster, second) is None
    assert await look(cluster, second, "other") is None
    assert second.standing_still() is None
    answer(cluster, second)
    assert cluster.status["installation"] == "b/two"
    assert "contender" not in cluster.status


async def test_the_question_moves_on_when_the_agent_with_it_is_deleted() -> None:
    cluster = Cluster()
    answer(cluster, cluster.joins("a/one"))
    second = cluster.joins("b/two")
    await look(cluster, second)
    second.forget(KEY)
    cluster.status = {"installation": "a/one"}
    cluster.at += 2 * SILENCE_S
    await look(cluster, second, "other")
    await look(cluster, second, "other")
    assert len(cluster.writes) == 2


async def test_three_installations_agree_on_the_first() -> None:
    cluster = Cluster()
    first, second, third = (cluster.joins(name) for name in ("a/one", "b/two", "c/three"))
    answer(cluster, first)
    await look(cluster, second)
    await look(cluster, third)
    for _ in range(80):
        cluster.at += LOOK_S
        if asked(agent_of(cluster)):
            answer(cluster, first)
        await look(cluster, second)
        await look(cluster, third)
    assert not second.is_ours(agent_of(cluster))
    assert not third.is_ours(agent_of(cluster))
    assert len(cluster.writes) <= 4


async def test_a_new_agent_is_for_who_is_at_home_in_its_namespace() -> None:
    cluster = Cluster()
    first, second = cluster.joins("b/one"), cluster.joins("a/two")
    answer(cluster, first)
    cluster.stores[AGENTS].put("", agent_of(cluster))
    await look(cluster, second)
    await look(cluster, first)  # and has met the second
    cluster.status = {}

    assert await look(cluster, second, "new") == RequeueAfter(SILENCE_S)
    assert cluster.status == {}
    assert await look(cluster, first, "new") is None
    assert cluster.status == {"installation": "b/one"}


async def test_in_an_empty_namespace_the_first_claim_wins() -> None:
    cluster = Cluster()
    first, second = cluster.joins("a/one"), cluster.joins("b/two")
    answer(cluster, first)
    await look(cluster, second)
    cluster.status = {}

    assert await look(cluster, second, "new") is None
    assert cluster.status == {"installation": "b/two"}
