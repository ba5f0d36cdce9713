"""The parts together, as in the README's example, against the fake API server."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from libs.kube.tests import faults
from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.kinds import (
    ALL,
    CONFIG_MAPS,
    DEPLOYMENTS,
    WIDGETS,
    config_map,
    config_maps,
    deployment,
    eventually,
    widget,
    widgets,
)
from libs.kube.tests.sample_operator import operating, pages, settled

import agent_kube
from agent_kube import (
    Health,
    ObjectKey,
    Source,
    Stores,
)
from agent_kube.cache.watcher import Watcher
from agent_kube.resources import EVENTS, LEASES


async def test_objects_converge_and_steady_state_writes_nothing(api: FakeApi) -> None:
    for number in range(10):
        api.create(WIDGETS, widget(f"w{number}"))
    async with operating(api) as (operator, _):
        await eventually(lambda: settled(api, 10))
        await operator.recorder.flush()
        await asyncio.sleep(0.3)
        api.calls.clear()
        for number in range(10):
            api.edit(DEPLOYMENTS, f"w{number}", {"status": {"readyReplicas": 1}}, subresource="status")
        await asyncio.sleep(0.5)
        assert [call for call in api.writes() if call.resource not in (LEASES, EVENTS)] == []
        assert api.called("list") == []
        assert operator.registry.get_sample_value("kube_cached_objects", {"resource": str(WIDGETS)}) == 10


async def test_edit_prune_and_deletion(api: FakeApi) -> None:
    api.create(WIDGETS, widget("w", size=1))
    async with operating(api):
        await eventually(lambda: settled(api, 1))
        api.edit(WIDGETS, "w", {"spec": {"size": 5}})
        await eventually(lambda: api.read(CONFIG_MAPS, "w")["data"] == {"size": "5"})
        api.edit(WIDGETS, "w", {"spec": {"size": 0}})
        await eventually(lambda: not api.names(DEPLOYMENTS))
        await eventually(lambda: api.read(WIDGETS, "w")["status"] == {"deployments": 0})
        api.remove(WIDGETS, "w")
    assert api.names(WIDGETS) == []


async def test_start_and_stop_in_order(api: FakeApi) -> None:
    api.create(WIDGETS, widget("w"))
    async with operating(api) as (operator, task):
        await eventually(lambda: settled(api, 1))
        assert operator.runtime.health.unready() is None
        assert operator.runtime.health.ailing() is None
        operator.stop.set()  # type: ignore[attr-defined]
        await task
        assert operator.log[:3] == ["operations up, unready", "frozen", "reconcile"]
        assert operator.log[-1] == "operations down"
    assert api.read(LEASES, "lock")["spec"]["holderIdentity"] == ""
    await eventually(lambda: not api.watchers)


async def test_no_worker_runs_before_all_caches_are_complete(api: FakeApi) -> None:
    api.create(WIDGETS, widget("w"))
    fault = api.fault(faults.refuse(500), verb="list", plural="deployments")
    async with operating(api) as (operator, _):
        await asyncio.sleep(0.5)
        assert operator.started == 0
        assert operator.runtime.health.unready() == "not listed yet: deployments.apps"
        assert api.called("get", "leases") == []
        fault.times = 0
        await eventually(lambda: operator.started)


async def test_stop_drains_running_reconciles_before_the_lease_is_released(api: FakeApi) -> None:
    api.create(WIDGETS, widget("w"))
    async with operating(api) as (operator, task):
        operator.hold.clear()
        await eventually(lambda: operator.started == 1)
        operator.stop.set()  # type: ignore[attr-defined]
        await asyncio.sleep(0.5)
        assert api.read(LEASES, "lock")["spec"]["holderIdentity"] == "one"
        operator.hold.set()
        await task
        assert operator.finished == operator.started == 1
    assert api.read(LEASES, "lock")["spec"]["holderIdentity"] == ""


async def test_standby_keeps_its_caches_warm_and_takes_over(api: FakeApi) -> None:
    api.create(WIDGETS, widget("w"))
    async with operating(api, "one") as (one, first), operating(api, "two") as (two, second):
        await eventually(lambda: settled(api, 1))
        leader, standby = (one, two) if one.started else (two, one)
        assert standby.started == 0
        assert standby.runtime.health.unready() is None
        leader.stop.set()  # type: ignore[attr-defined]
        await (first if leader is one else second)
        lists = len(pages(api))
        api.create(WIDGETS, widget("later"))
        await eventually(lambda: settled(api, 2))
        assert len(pages(api)) == lists
        assert standby.started > 0


async def test_lost_lease_ends_the_run(api: FakeApi) -> None:
    api.create(WIDGETS, widget("w"))
    async with operating(api, check=False) as (operator, task):
        await eventually(lambda: operator.started)
        api.fault(faults.refuse(500), verb="replace", plural="leases")
        await asyncio.wait([task], timeout=20)
        with pytest.raises(agent_kube.LeadershipLost):
            task.result()
        assert operator.log[-1] == "operations down"


async def test_conflicts_throttling_errors_and_resets_are_survived(api: FakeApi) -> None:
    for number in range(10):
        api.create(WIDGETS, widget(f"w{number}"))
    api.fault(faults.refuse(409, "Conflict"), verb="create", times=3)
    api.fault(faults.refuse(429, "TooManyRequests", retry_after_s=1), verb="create", times=3)
    api.fault(faults.refuse(500), verb="create", times=3)
    api.fault(faults.reset, verb="create", times=3)
    api.fault(faults.html_502, verb="create", times=3)
    async with operating(api):
        await eventually(lambda: settled(api, 10))


async def test_server_restart_is_survived(api: FakeApi) -> None:
    api.create(WIDGETS, widget("w"))
    async with operating(api, elect=False):
        await eventually(lambda: settled(api, 1))
        await api.stop()
        await asyncio.sleep(0.3)
        api.create(WIDGETS, widget("meanwhile"))
        api.storage.compact()
        await api.__aenter__()
        await eventually(lambda: settled(api, 2), timeout_s=30)


def test_standing_watcher_and_late_loop_are_ailing() -> None:
    now = 0.0
    stores = Stores([widgets()])
    [store] = stores
    watcher = Watcher(None, store, "", clock=lambda: now)  # type: ignore[arg-type]
    health = Health(stores, [watcher], clock=lambda: now)
    assert health.ailing() is None
    now = 200.0
    assert health.ailing() == "widgets.example.com in all namespaces: nothing for 200 s; event loop: 199.0 s late"


async def test_readme_example_works(api: FakeApi) -> None:
    """The example of the README, as it is printed there."""
    readme = (Path(agent_kube.__file__).parents[2] / "README.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    scope: dict[str, Any] = {"render": lambda spec: [deployment("site", image=spec["image"]), config_map("site")]}
    exec(compile(code, "README.md", "exec"), scope)  # noqa: S102  the documented example
    access = agent_kube.Access(api.url, agent_kube.FixedCredentials())

    async def to_the_fake() -> Any:
        return access

    scope["open_access"] = to_the_fake
    api.resources.append(scope["WEBSITES"])
    manifest = {**widget("site", image="nginx"), "kind": "Website"}
    api.create(scope["WEBSITES"], manifest)
    stop = asyncio.Event()
    task = asyncio.create_task(scope["main"](stop))
    await eventually(lambda: api.names(DEPLOYMENTS) == ["site"] and api.names(EVENTS))
    api.edit(DEPLOYMENTS, "site", {"status": {"readyReplicas": 3}}, subresource="status")
    await eventually(lambda: api.read(scope["WEBSITES"], "site").get("status") == {"ready": 3})
    stop.set()
    await task


def test_pod_does_not_load_the_generated_client() -> None:
    code = "import sys, agent_kube; print(any(m.startswith('kubernetes_asyncio') for m in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_public_names_exist() -> None:
    for name in agent_kube.__all__:
        assert hasattr(agent_kube, name)
    assert len(ALL) == 5
    assert isinstance(config_maps(), Source)
    assert ObjectKey("a", "b") == ("a", "b")
