"""Step 1: edits of an agent, suspension, and what others may do to its children."""

import pytest
from integration.api import AGENTS, MERGE, Document
from integration.team import NGINX, Team
from integration.waiting import eventually, throughout

pytestmark = pytest.mark.step1


def environment(content: str) -> Document:
    return {"files": [{"path": "words.txt", "content": content}]}


async def has_replicas(team: Team, name: str, count: int) -> None:
    async def look() -> bool:
        return bool((await team.finds("deployments", name))["spec"]["replicas"] == count)

    await eventually(look)


async def test_new_image_rolls_the_pods(team: Team) -> None:
    await team.create("roller")
    await team.reaches("roller", "Running", ready="True")
    before = await team.only_pod("roller")

    await team.edit("roller", agent={"image": "nginx:1.28"})

    async def rolled() -> bool:
        agent = await team.reaches("roller", "Running", ready="True")
        after = await team.only_pod("roller")
        assert after["spec"]["containers"][0]["image"] == "nginx:1.28"
        assert agent["status"]["observedGeneration"] == 2
        return bool(after["metadata"]["uid"] != before["metadata"]["uid"])

    await eventually(rolled)


async def test_new_init_configuration_rolls_the_pods(team: Team) -> None:
    await team.create("roller", agent={**NGINX, "environment": environment("one")})
    await team.reaches("roller", "Running", ready="True")
    before = await team.only_pod("roller")

    await team.edit("roller", agent={"environment": environment("two")})

    async def rolled() -> bool:
        after = await team.only_pod("roller")
        old, new = (pod["metadata"]["annotations"]["agents.example.com/init-hash"] for pod in (before, after))
        return bool(old != new)

    await eventually(rolled)
    assert '"two"' in (await team.api.get("configmaps", "roller-berth"))["data"]["init.json"]


async def test_edit_that_changes_no_pod_rolls_nothing(team: Team) -> None:
    await team.create("calm", agent={**NGINX, "environment": environment("one")})
    await team.reaches("calm", "Running", ready="True")
    before = await team.finds("deployments", "calm")

    await team.edit("calm", agent={"ports": [{"name": "http", "containerPort": 8080}]}, suspend=False)
    await team.finds("services", "calm")
    await team.edit("calm", agent={"ports": None})
    await team.reaches("calm", "Running", ready="True")

    async def same_template() -> bool:
        after = await team.finds("deployments", "calm")
        return bool(after["spec"]["template"] == before["spec"]["template"])

    await eventually(same_template)


async def test_suspend_takes_the_pods_and_resume_brings_them_back(team: Team) -> None:
    await team.create("sleeper", replicas=2)
    await team.reaches("sleeper", "Running", ready="True")

    await team.edit("sleeper", suspend=True)
    await team.has_pods("sleeper", 0)
    agent = await team.says("sleeper", "Suspended")
    assert agent["status"]["phase"] == "Pending"
    assert (await team.children("sleeper"))["deployments"] == ["sleeper"]

    await team.edit("sleeper", suspend=False)
    await team.reaches("sleeper", "Running", ready="True")
    await team.has_pods("sleeper", 2)


async def test_foreign_labels_and_annotations_are_kept(team: Team) -> None:
    await team.create("decorated", agent={**NGINX, "ports": [{"name": "http", "containerPort": 8080}]})
    await team.reaches("decorated", "Running", ready="True")
    foreign = {"labels": {"cost-centre": "42"}, "annotations": {"example.com/note": "kept"}}
    for plural in ("deployments", "services"):
        await team.api.patch(plural, "decorated", {"metadata": foreign})

    await team.edit("decorated", agent={"image": "nginx:1.28", "ports": [{"name": "web", "containerPort": 8081}]})

    async def edited() -> bool:
        service, deployment = [await team.api.get(p, "decorated") for p in ("services", "deployments")]
        assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.28"
        assert [port["name"] for port in service["spec"]["ports"]] == ["web"]
        for child in (service, deployment):
            assert child["metadata"]["labels"]["cost-centre"] == "42"
            assert child["metadata"]["annotations"]["example.com/note"] == "kept"
        return True

    await eventually(edited)


async def test_field_of_ours_that_somebody_changes_is_put_back(team: Team) -> None:
    await team.create("stubborn")
    await team.reaches("stubborn", "Running", ready="True")

    change = {"spec": {"template": {"spec": {"containers": [{"name": "agent", "image": "nginx:evil"}]}}}}
    path = f"/apis/apps/v1/namespaces/{team.namespace}/deployments/stubborn"
    await team.api.call("PATCH", path, change, media="application/strategic-merge-patch+json")

    async def put_back() -> bool:
        deployment = await team.finds("deployments", "stubborn")
        return bool(deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.27")

    await eventually(put_back)


async def test_replicas_that_an_autoscaler_owns_are_kept(team: Team) -> None:
    await team.create("elastic", scaling={"minReplicas": 1, "maxReplicas": 5})
    await team.reaches("elastic", "Running", ready="True")
    await team.api.patch("deployments", "elastic", {"spec": {"replicas": 3}}, part="scale", manager="autoscaler")
    await team.has_pods("elastic", 3)

    await team.edit("elastic", agent={"image": "nginx:1.28"})
    await team.reaches("elastic", "Running", ready="True")

    async def three() -> None:
        assert (await team.finds("deployments", "elastic"))["spec"]["replicas"] == 3

    async def told() -> bool:
        status = (await team.agent("elastic"))["status"]
        return bool(status["replicas"] == status["readyReplicas"] == 3)

    await throughout(three, for_s=1.0)
    await eventually(told)  # a rolling update has one more for a while


async def test_scale_subresource_of_the_agent_moves_the_deployment(team: Team) -> None:
    await team.create("scaled")
    await team.reaches("scaled", "Running", ready="True")
    path = f"/apis/agents.example.com/v1/namespaces/{team.namespace}/{AGENTS}/scaled/scale"

    await team.api.call("PATCH", path, {"spec": {"replicas": 3}}, media=MERGE)

    await has_replicas(team, "scaled", 3)
    await team.reaches("scaled", "Running", ready="True")
    scale = await team.api.call("GET", path)
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (3, 3)
    selected = await team.api.list("pods", scale["status"]["selector"])
    assert len(selected) == 3


async def test_change_of_the_workload_kind_replaces_the_workload(team: Team) -> None:
    await team.create("changer")
    await team.reaches("changer", "Running", ready="True")

    await team.edit("changer", workload={"kind": "CronJob", "schedule": "0 3 * * *"})

    async def replaced() -> bool:
        children = await team.children("changer")
        return children.get("cronjobs") == ["changer"] and "deployments" not in children

    await eventually(replaced)
    await team.says("changer", "Scheduled")
