"""Which children are applied, and what only events tell, against the fake API server over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from libs.kube.tests import faults
from libs.kube.tests.fake_api import FakeApi
from services.operator.tests.operator_objects import SUCCEEDED, agent, job, pod, state

from agent_kube import Client, ObjectKey, Request, Stores
from agent_operator.children.jobs import Runs, advance_job, choose, live_job, started_job
from agent_operator.errors import PlatformError
from agent_operator.objects import JobObject
from agent_operator.platform import read_platform
from agent_operator.settings import OperatorSettings
from agent_operator.sources import ALL, CORE_EVENTS, JOB_SOURCE, JOBS
from agent_operator.status.finding import Finding
from agent_operator.status.progress import LastRun
from agent_operator.status.stall import StallFinder
from agent_render import PlatformSettings, render

RENDERED = render(agent(workload={"kind": "Job"}), PlatformSettings())
JOB = next(manifest for manifest in RENDERED if manifest["kind"] == "Job")
NAME = JOB["metadata"]["name"]
STARTING = pod(state("agent", waiting={"reason": "ContainerCreating"}), phase="Pending")


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi([JOBS, CORE_EVENTS]) as server:
        yield server


@pytest.fixture
async def client(api: FakeApi) -> AsyncIterator[Client]:
    async with api.client() as opened:
        yield opened


def stores(*jobs: JobObject) -> Stores:
    """Caches with these Jobs in them."""
    made = Stores(ALL)
    for each in jobs:
        made[JOB_SOURCE].put("", each)
    return made


def kinds(manifests: Any) -> list[str]:
    return [manifest["kind"] for manifest in manifests]


def test_a_new_job_is_created_suspended_and_without_a_time_to_live() -> None:
    chosen = choose(RENDERED, stores(), Runs())

    (made,) = (manifest for manifest in chosen if manifest["kind"] == "Job")
    assert made["spec"]["suspend"] is True
    assert "ttlSecondsAfterFinished" not in made["spec"]
    assert JOB["spec"]["suspend"] is False, "what was rendered is kept"


def test_job_is_applied_once() -> None:
    chosen = choose(RENDERED, stores(job(NAME)), Runs())

    assert "Job" not in kinds(chosen)
    assert "ServiceAccount" in kinds(chosen)


@pytest.mark.parametrize(
    "runs", [Runs(last=LastRun(NAME, "Succeeded", "t")), Runs(started=NAME)], ids=["ended", "started"]
)
def test_job_that_has_run_and_is_gone_is_not_run_again(runs: Runs) -> None:
    assert "Job" not in kinds(choose(RENDERED, stores(), runs))


def test_job_of_another_spec_is_run() -> None:
    runs = Runs(f"{NAME}-old", LastRun(f"{NAME}-old", "Succeeded", "t"))

    assert "Job" in kinds(choose(RENDERED, stores(), runs))


def test_job_of_this_spec() -> None:
    live = job(NAME)

    assert live_job(RENDERED, stores(live)) is live
    assert live_job(RENDERED, stores()) is None
    assert live_job(render(agent(), PlatformSettings()), stores(live)) is None


def test_a_job_counts_as_started_before_it_starts() -> None:
    asleep = {**JOB, "spec": {**JOB["spec"], "suspend": True}}

    assert started_job(JOB, job(NAME, suspend=True), Runs(), may_start=True) == NAME
    assert started_job(asleep, job(NAME), Runs(), may_start=True) == ""
    assert started_job(asleep, None, Runs(started=NAME), may_start=True) == NAME
    assert started_job(None, None, Runs(started=NAME), may_start=True) == ""


def test_a_job_that_nobody_has_seen_or_that_may_not_start_does_not_count_as_started() -> None:
    assert started_job(JOB, None, Runs(), may_start=True) == ""
    assert started_job(JOB, job(NAME, suspend=True), Runs(), may_start=False) == ""
    assert started_job(JOB, None, Runs(started=NAME), may_start=False) == NAME


def manifest(*, suspend: bool) -> Any:
    return {**JOB, "spec": {**JOB["spec"], "suspend": suspend, "ttlSecondsAfterFinished": 7}}


@pytest.mark.parametrize(
    "live, suspend, runs, change",
    [
        (job(NAME, suspend=True), False, Runs(), {}),
        (job(NAME, suspend=True), False, Runs(started=NAME), {"suspend": False}),
        (job(NAME), True, Runs(), {"suspend": True}),
        (job(NAME), False, Runs(), {}),
        (job(NAME, **SUCCEEDED), True, Runs(started=NAME), {}),
        (job(NAME, **SUCCEEDED), False, Runs(last=LastRun(NAME, "Succeeded", "t")), {"ttlSecondsAfterFinished": 7}),
        (job(NAME, **SUCCEEDED), False, Runs(last=LastRun("older", "Failed", "t")), {}),
    ],
    ids=["not-told", "told", "suspended", "runs", "ended-unseen", "ended", "another-ended"],
)
async def test_a_job_follows_the_spec_and_what_the_status_remembers(
    api: FakeApi, client: Client, live: JobObject, suspend: bool, runs: Runs, change: dict[str, Any]
) -> None:
    kept = {"suspend": live.spec.suspend, "ttlSecondsAfterFinished": None}
    api.create(JOBS, {**JOB, "spec": {**JOB["spec"], **kept}})
    request = Request(ObjectKey("team", "subject"), "id")

    await advance_job(client, request, manifest(suspend=suspend), live, runs, may_start=True, manager="us")

    found = api.read(JOBS, NAME, "team")["spec"]
    assert {name: found.get(name) for name in kept} == {**kept, **change}
    assert request.writes.count == len(api.writes()) == bool(change)


@pytest.mark.parametrize("running", [True, False])
async def test_a_job_without_its_fence_is_suspended_and_never_started(
    api: FakeApi, client: Client, *, running: bool
) -> None:
    api.create(JOBS, {**JOB, "spec": {**JOB["spec"], "suspend": not running}})
    request, live = Request(ObjectKey("team", "subject"), "id"), job(NAME, suspend=not running)

    await advance_job(
        client, request, manifest(suspend=running), live, Runs(started=NAME), may_start=False, manager="us"
    )

    assert api.read(JOBS, NAME, "team")["spec"]["suspend"] is True
    assert len(api.writes()) == running


def warn(api: FakeApi, uid: str, reason: str, message: str) -> None:
    """An event about the object with this uid."""
    name = f"event-{len(api.names(CORE_EVENTS, 'team'))}"
    metadata = {"name": name, "namespace": "team"}
    about = {"involvedObject": {"uid": uid}, "type": "Warning", "reason": reason, "message": message}
    api.create(CORE_EVENTS, {"apiVersion": "v1", "kind": "Event", "metadata": metadata, **about})


async def test_event_says_why_a_volume_is_not_there(api: FakeApi, client: Client) -> None:
    warn(api, "uid-pod", "FailedMount", "timed out")
    warn(api, "uid-pod", "FailedMount", 'secret "key" not found')

    found = await StallFinder(client).of_pods([STARTING])

    assert found == Finding("SecretMissing", 'secret "key" not found')
    [called] = api.called("list", "events")
    assert called.query["fieldSelector"] == "involvedObject.uid=uid-pod,type=Warning"


@pytest.mark.parametrize(
    "reason, message, found",
    [
        ("FailedMount", "timed out", Finding("NotReady", "timed out")),
        ("FailedCreatePodSandBox", "no address", Finding("NotReady", "no address")),
        ("Unhealthy", "probe failed", None),
    ],
)
async def test_other_events(api: FakeApi, client: Client, reason: str, message: str, found: Finding | None) -> None:
    warn(api, "uid-pod", reason, message)

    assert await StallFinder(client).of_pods([STARTING]) == found


@pytest.mark.parametrize("later", ["FailedScheduling", "Unhealthy", "BackOff"])
async def test_newer_event_that_explains_nothing_hides_no_older_one(api: FakeApi, client: Client, later: str) -> None:
    warn(api, "uid-pod", "FailedMount", 'secret "key" not found')
    warn(api, "uid-pod", later, "written late")

    assert await StallFinder(client).of_pods([STARTING]) == Finding("SecretMissing", 'secret "key" not found')


async def test_nobody_is_asked_about_a_pod_that_runs(api: FakeApi, client: Client) -> None:
    assert await StallFinder(client).of_pods([pod(state("agent", ready=True))]) is None
    assert api.calls == []


async def test_nothing_is_known_without_events_or_without_an_answer(api: FakeApi, client: Client) -> None:
    finder = StallFinder(client)
    assert await finder.of_pods([STARTING]) is None

    api.fault(faults.refuse(403), verb="list", plural="events")
    assert await finder.of_pods([STARTING]) is None


async def test_event_says_why_a_job_has_no_pod(api: FakeApi, client: Client) -> None:
    warn(api, "uid-run", "FailedCreate", "exceeded quota: tight")
    finder = StallFinder(client)

    assert await finder.of_job(job(), []) == Finding("QuotaExceeded", "exceeded quota: tight")
    assert await finder.of_job(None, []) is None
    assert await finder.of_job(job(active=1), []) is None
    assert await finder.of_job(job(suspend=True), []) is None
    assert await finder.of_job(job(), [STARTING]) is None


def test_platform_without_a_file_is_built_in() -> None:
    assert read_platform(None) == PlatformSettings()


def test_platform_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text("images: {initenv: mine:1}\n")
    assert read_platform(file).images.initenv == "mine:1"

    file.write_text("")
    assert read_platform(file) == PlatformSettings()


def test_tools_of_the_settings_win_over_those_of_the_catalogue(tmp_path: Path) -> None:
    file, catalogue = tmp_path / "platform.yaml", tmp_path / "tools.yaml"
    file.write_text("catalogue: {jq: {name: jq, description: ours}}\n")
    catalogue.write_text("tools: [{name: jq, description: theirs}, {name: git, description: theirs}]\n")

    tools = read_platform(file, catalogue).catalogue

    assert {name: tool.description for name, tool in tools.items()} == {"jq": "ours", "git": "theirs"}
    assert set(read_platform(None, catalogue).catalogue) == {"jq", "git"}


@pytest.mark.parametrize(
    "text, words",
    [("{", "is not YAML"), ("images: {initenv: [1]}", "images.initenv: "), ("imges: {}", "imges: ")],
)
def test_platform_that_is_wrong_names_file_and_field(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text(text)

    with pytest.raises(PlatformError, match=r"platform\.yaml") as error:
        read_platform(file)

    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_platform_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="cannot be read: No such file"):
        read_platform(tmp_path / "none.yaml")


def test_settings_fit_the_deadlines_of_each_other() -> None:
    settings = OperatorSettings()

    assert settings.drain_s <= settings.grace_s
    assert settings.watch_silence_s > 60  # the server says something every 60 s
    assert settings.namespaces == ()
