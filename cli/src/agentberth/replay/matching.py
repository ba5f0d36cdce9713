"""Finds the recording that answers a request, and says what is nearest when there is none.

A request that has an effect, such as a model's answer or a tool's call, is answered as often as it was recorded. One
that only reads, such as a list of tools, may come any number of times: it gets its recordings in turn, then the last.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent_api.cassette import Recording, Side
from agentberth.replay.asked import Asked
from agentberth.replay.bodies import unpack
from agentberth.replay.canonical import Canonical
from agentberth.replay.miss import Miss, explain


@dataclass
class _Take:
    """A recording, and what it answers."""

    recording: Recording
    asked: Asked
    key: str
    played: int = 0


@dataclass
class Player:
    """The recordings of some sides. `misses` are the requests that none of them answers."""

    recordings: Sequence[Recording]
    canonical: Canonical
    misses: list[Miss] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    """What was asked and answered, in order; `played` are the recordings that did."""
    played: list[Recording] = field(default_factory=list)

    def __post_init__(self) -> None:
        recorded = Canonical()
        self._takes: list[_Take] = []
        self._by_key: dict[str, list[_Take]] = {}
        for recording in self.recordings:
            request = recording.request
            body = unpack(request.body)
            asked = Asked.of(recording.side, request.method, request.path, body)
            take = _Take(recording, asked, f"{recording.side} {recorded.key(request.method, request.path, body)}")
            self._takes.append(take)
            self._by_key.setdefault(take.key, []).append(take)

    def find(self, side: Side, method: str, path: str, body: bytes) -> Recording | Miss:
        """The recording to answer with; a Miss is remembered."""
        asked = Asked.of(side, method, path, body)
        key = f"{side} {self.canonical.key(method, path, body)}"
        takes = self._by_key.get(key, [])
        take = next((each for each in takes if not each.played), takes[-1] if takes and asked.reads else None)
        if take is None:
            others = [each.key for each in self._takes if each.recording.side == side]
            miss = explain(asked, key, used=len(takes), candidates=others)
            self.misses.append(miss)
            return miss
        take.played += 1
        self.asked.append(asked)
        self.played.append(take.recording)
        return take.recording

    def unused(self) -> Iterable[Asked]:
        """What was recorded, has an effect, and was not asked for."""
        return (take.asked for take in self._takes if not take.played and not take.asked.reads)
