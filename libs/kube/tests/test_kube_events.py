import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from libs.kube.tests import faults
from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.kinds import WIDGETS, Widget

from agent_kube import EventRecorder, ObjectMeta
from agent_kube.resources import EVENTS


@dataclass
class Recording:
    api: FakeApi
    recorder: EventRecorder
    now: list[float]

    def event(self, message: str = "it is so", name: str = "w", reason: str = "Because") -> None:
        obj = Widget(ObjectMeta(name=name, namespace="team", uid=f"u-{name}", resource_version="5"))
        self.recorder.event(WIDGETS, obj, "Warning", reason, "Reconcile", message)

    async def flush(self) -> None:
        await self.recorder.flush(5)

    def stored(self) -> list[dict[str, Any]]:
        return [self.api.read(EVENTS, name, "team") for name in self.api.names(EVENTS)]


@pytest.fixture
async def recording(api: FakeApi) -> AsyncIterator[Recording]:
    now = [1000.0]
    async with api.client() as client:
        recorder = EventRecorder(client, controller="example.com/widget", instance="pod-1", clock=lambda: now[0])
        task = asyncio.create_task(recorder.run())
        yield Recording(api, recorder, now)
        task.cancel()
        await asyncio.wait([task])


async def test_event_has_all_that_the_api_wants(recording: Recording) -> None:
    recording.event()
    await recording.flush()
    [event] = recording.stored()
    assert event["regarding"] == {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "name": "w",
        "namespace": "team",
        "uid": "u-w",
        "resourceVersion": "5",
    }
    assert (event["type"], event["reason"], event["action"]) == ("Warning", "Because", "Reconcile")
    assert (event["reportingController"], event["reportingInstance"]) == ("example.com/widget", "pod-1")
    assert event["note"] == "it is so"
    assert event["eventTime"].endswith("Z")
    assert "series" not in event


async def test_repeats_become_one_series(recording: Recording) -> None:
    recording.event()
    await recording.flush()
    for _ in range(29):
        recording.event()
    recording.now[0] += 61
    recording.event()
    await recording.flush()
    [event] = recording.stored()
    assert event["series"]["count"] == 31
    assert len(recording.api.writes()) == 2


async def test_repeats_before_the_first_was_sent_are_counted(recording: Recording) -> None:
    for _ in range(5):
        recording.event()
    await recording.flush()
    [event] = recording.stored()
    assert event["series"]["count"] == 5
    assert len(recording.api.writes()) == 1


async def test_series_ends_after_ten_quiet_minutes(recording: Recording) -> None:
    recording.event()
    recording.now[0] += 601
    recording.event()
    await recording.flush()
    assert len(recording.stored()) == 2


async def test_event_that_the_server_has_expired_is_made_anew(recording: Recording) -> None:
    recording.event()
    await recording.flush()
    recording.api.remove(EVENTS, recording.api.names(EVENTS)[0], "team")
    recording.now[0] += 61
    recording.event()
    await recording.flush()
    [event] = recording.stored()
    assert event["series"]["count"] == 2


@pytest.mark.parametrize("code", [403, 429, 500])
async def test_refused_event_is_dropped_and_the_next_is_sent(recording: Recording, code: int) -> None:
    recording.api.fault(faults.refuse(code, retry_after_s=30), verb="create", times=1)
    recording.event(reason="Lost")
    recording.event(reason="Kept")
    await recording.flush()
    assert [event["reason"] for event in recording.stored()] == ["Kept"]


async def test_one_object_cannot_flood_the_server_nor_silence_others(recording: Recording) -> None:
    for number in range(200):
        recording.event(message=f"failure {number}")
    recording.event(name="other")
    await recording.flush()
    reported = [event["regarding"]["name"] for event in recording.stored()]
    assert reported.count("w") == 25
    assert reported.count("other") == 1
    recording.now[0] += 120
    for number in range(10):
        recording.event(message=f"later {number}")
    await recording.flush()
    assert len(recording.stored()) == 28


async def test_long_message_is_cut(recording: Recording) -> None:
    recording.event(message="x" * 5000, reason="R" * 300)
    await recording.flush()
    [event] = recording.stored()
    assert len(event["note"]) == 1024
    assert event["note"].endswith("...")
    assert len(event["reason"]) == 128


async def test_server_that_hangs_delays_nobody(recording: Recording) -> None:
    recording.api.fault(faults.hang, verb="create")
    for number in range(3000):
        recording.event(name=f"w{number}")
    await recording.recorder.flush(0.1)
