"""One installation works on an agent; another that watches it too stands still, and says so.

Two of them would undo each other's work for ever. So the status names the installation that works on the agent. Another
one that comes upon it writes its own name beside it, as a question: an installation that is alive takes the question
away with its next pass, and for `TRUST_S` it is not asked again. One that does not answer within `silence_s` is gone,
and its agents are taken over. A new agent is for the installation that has others in its namespace.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from agent_kube import Client, EventRecorder, ObjectKey, Outcome, Request, RequeueAfter, Stores
from agent_kube.control.request import Expectation
from agent_kube.objects import version_number
from agent_operator.objects import AgentObject
from agent_operator.sources import AGENT_TYPES, AGENTS

OTHER_INSTALLATION: Final = "OtherInstallation"
TRUST_S: Final = 300.0
LOOK_S: Final = 2.0
REMEMBERED: Final = 20_000
_MOST: Final = 64


@dataclass
class _Other:
    """What is known of another installation. `asked_at` None: it was not asked since `judged_at`."""

    alive: bool = True
    judged_at: float = float("-inf")
    asked_at: float | None = None
    asked_of: ObjectKey | None = None
    """The agent that carries the question."""
    asked_version: int = 0
    """Of the agent, with the question: an older state in the cache says nothing about the answer."""


class Installations:
    """What this one, called `name`, knows of others. May be lost."""

    def __init__(
        self,
        client: Client,
        stores: Stores,
        recorder: EventRecorder,
        *,
        name: str,
        silence_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._client = client
        self._stores = stores
        self._recorder = recorder
        self._silence_s = silence_s
        self._clock = clock
        self._others: OrderedDict[str, _Other] = OrderedDict()
        self._left: OrderedDict[ObjectKey, str] = OrderedDict()  # agents that are left alone, and whose they are

    def marked(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """`status` as this installation writes it: with its name, and without a question that this answers."""
        return {**{name: value for name, value in status.items() if name != "contender"}, "installation": self.name}

    def is_ours(self, obj: AgentObject) -> bool:
        """Whether no other installation works on an agent, as far as is known."""
        owner = _marks(obj).installation
        return owner in {"", self.name} or self._is_gone(owner)

    async def yield_to_other(self, request: Request, obj: AgentObject) -> Outcome | None:
        """When to look again at an agent that another installation works on; None when it is ours to work on."""
        marks = _marks(obj)
        if marks.installation in {"", self.name}:
            if marks.contender:
                self._meet(marks.contender)
                self._tell(obj, f"installation {marks.contender} watches this agent too, and leaves it alone")
            if not marks.installation and self._others:
                return await self._claim(request, obj)
            self.forget(obj.key)
            return None
        other = self._meet(marks.installation)
        await self._look_at(request, obj, marks, other)
        if self._is_gone(marks.installation):
            self.forget(obj.key)
            return None
        self._leave_alone(obj, marks.installation)
        return RequeueAfter(self._next_look_s(obj, other))

    def standing_still(self) -> str | None:
        """For /readyz: which agents are another installation's; None when there are none."""
        if not self._left:
            return None
        others = ", ".join(sorted(set(self._left.values())))
        return f"{len(self._left)} agents are left alone: installation {others} works on them; give each its namespaces"

    def forget(self, key: ObjectKey) -> None:
        """The agent is gone, or ours."""
        self._left.pop(key, None)

    def _meet(self, name: str) -> _Other:
        other = self._others.setdefault(name, _Other())
        while len(self._others) > _MOST:
            self._others.popitem(last=False)
        return other

    async def _claim(self, request: Request, obj: AgentObject) -> Outcome | None:
        """Take an agent that nobody works on yet, unless another installation is at home in its namespace."""
        here = self._at_home(obj.key.namespace)
        if here not in {"", self.name}:
            self._leave_alone(obj, here)
            return RequeueAfter(self._silence_s)
        await self._write(request, obj, {"installation": self.name})
        self.forget(obj.key)
        return None

    def _at_home(self, namespace: str) -> str:
        """The installation that works on the agents of a namespace; of several the first by name, for all to agree."""
        agents = (each for each in self._stores[AGENTS].items() if each.key.namespace == namespace)
        owners = {_marks(each).installation for each in agents} - {""}
        return min((owner for owner in owners if not self._is_gone(owner)), default="")

    async def _look_at(self, request: Request, obj: AgentObject, marks: "_Marks", other: _Other) -> None:
        now = self._clock()
        if other.asked_at is None:
            if now - other.judged_at >= TRUST_S:
                other.asked_version = await self._write(request, obj, {"contender": self.name})
                other.asked_at, other.asked_of = now, obj.key
        elif obj.key != other.asked_of or version_number(obj.metadata.resource_version) < other.asked_version:
            if now - other.asked_at >= 2 * self._silence_s:
                other.asked_at = None  # the agent with the question is gone: the next one carries it
        elif not marks.contender:
            other.alive, other.judged_at, other.asked_at = True, now, None
        elif now - other.asked_at >= self._silence_s:
            other.alive = marks.contender != self.name
            other.judged_at = float("-inf") if other.alive else now  # a third one asked over ours: ask again
            other.asked_at = None

    def _next_look_s(self, obj: AgentObject, other: _Other) -> float:
        if other.asked_at is None:
            return TRUST_S / 2
        left_s = other.asked_at + self._silence_s - self._clock()
        return LOOK_S if obj.key == other.asked_of else max(0.0, left_s) + LOOK_S

    def _is_gone(self, installation: str) -> bool:
        other = self._others.get(installation)
        return other is not None and not other.alive and self._clock() - other.judged_at < TRUST_S

    def _leave_alone(self, obj: AgentObject, installation: str) -> None:
        if obj.key in self._left:
            return
        self._left[obj.key] = installation
        while len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        text = f"installation {installation} works on this agent, so {self.name} leaves it alone"
        self._tell(obj, f"{text}: watch different namespaces, or remove one of the two")

    def _tell(self, obj: AgentObject, text: str) -> None:
        self._recorder.event(AGENT_TYPES, obj, "Warning", OTHER_INSTALLATION, "Reconcile", text)

    async def _write(self, request: Request, obj: AgentObject, status: dict[str, Any]) -> int:
        """The version that it makes. Raises Conflict when the object is not the one that was looked at."""
        metadata = {"resourceVersion": obj.metadata.resource_version, "uid": obj.metadata.uid}
        change = {"metadata": metadata, "status": status}
        answer = await self._client.patch(AGENT_TYPES, obj.key, change, subresource="status")
        version = version_number(answer.resource_version)
        request.writes.record(Expectation(AGENTS, obj.key, version))
        return version


class _Marks(msgspec.Struct, frozen=True):
    """The two fields of a status."""

    installation: str = ""
    contender: str = ""


def _marks(obj: AgentObject) -> _Marks:
    return msgspec.json.decode(obj.status, type=_Marks)


def asked(obj: AgentObject) -> tuple[ObjectKey, ...]:
    """The agent itself while another installation asks whether this one is there: a change of status is a trigger."""
    return (obj.key,) if b'"contender"' in bytes(obj.status) else ()
