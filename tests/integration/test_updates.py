"""Step 1: edits of an agent, suspension, and what others may do to its children."""

import pytest
from integration.api import AGENTS, MERGE, Document
from integration.namespace import NGINX, Namespace
from integration.waiting import eventually, throughout

pytestmark = pytest.mark.step1


def environment(content: str) -> Document:
    return {"files": [{"path": "words.txt", "content": content}]}


async def has_replicas(namespace: Namespace, name: str, count: int) -> None:
    async def look() -> bool:
        return bool((await namespace.finds("deployments", name))["spec"]["replicas"] == count)

    await eventually(look)


async def test_new_image_rolls_the_pods(namespace: Namespace) -> None:
    await namespace.create("roller")
    await namespace.reaches("roller", "Running", ready="True")
    before = await namespace.only_pod("roller")

    await namespace.edit("roller", agent={"image": "nginx:1.28"})

    async def rolled() -> bool:
        agent = await namespace.reaches("roller", "Running", ready="True")
        after = await namespace.only_pod("roller")
        assert after["spec"]["containers"][0]["image"] == "nginx:1.28"
        assert agent["status"]["observedGeneration"] == 2
        return bool(after["metadata"]["uid"] != before["metadata"]["uid"])

    await eventually(rolled)


async def test_new_init_configuration_rolls_the_pods(namespace: Namespace) -> None:
    await namespace.create("roller", agent={**NGINX, "environment": environment("one")})
    await namespace.reaches("roller", "Running", ready="True")
    before = await namespace.only_pod("roller")

    await namespace.edit("roller", agent={"environment": environment("two")})

    async def rolled() -> bool:
        after = await namespace.only_pod("roller")
        old, new = (pod["metadata"]["annotations"]["agents.example.com/init-hash"] for pod in (before, after))
        return bool(old != new)

    await eventually(rolled)
    assert '"two"' in (await namespace.api.get("configmaps", "roller-berth"))["data"]["init.json"]


async def test_edit_that_changes_no_pod_rolls_nothing(namespace: Namespace) -> None:
    await namespace.create("calm", agent={**NGINX, "environment": environment("one")})
    await namespace.reaches("calm", "Running", ready="True")
    before = await namespace.finds("deployments", "calm")

    await namespace.edit("calm", agent={"ports": [{"name": "http", "containerPort": 8080}]}, suspend=False)
    await namespace.finds("services", "calm")
    await namespace.edit("calm", agent={"ports": None})
    await namespace.reaches("calm", "Running", ready="True")

    async def same_template() -> bool:
        after = await namespace.finds("deployments", "calm")
        return bool(after["spec"]["template"] == before["spec"]["template"])

    await eventually(same_template)


async def test_suspend_takes_the_pods_and_resume_brings_them_back(namespace: Namespace) -> None:
    await namespace.create("sleeper", replicas=2)
    await namespace.reaches("sleeper", "Running", ready="True")

    await namespace.edit("sleeper", suspend=True)
    await namespace.has_pods("sleeper", 0)
    agent = await namespace.says("sleeper", "Suspended")
    assert agent["status"]["phase"] == "Pending"
    assert (await namespace.children("sleeper"))["deployments"] == ["sleeper"]

    await namespace.edit("sleeper", suspend=False)
    await namespace.reaches("sleeper", "Running", ready="True")
    await namespace.has_pods("sleeper", 2)


async def test_foreign_labels_and_annotations_are_kept(namespace: Namespace) -> None:
    await namespace.create("decorated", agent={**NGINX, "ports": [{"name": "http", "containerPort": 8080}]})
    await namespace.reaches("decorated", "Running", ready="True")
    foreign = {"labels": {"cost-centre": "42"}, "annotations": {"example.com/note": "kept"}}
    for plural in ("deployments", "services"):
        await namespace.api.patch(plural, "decorated", {"metadata": foreign})

    await namespace.edit("decorated", agent={"image": "nginx:1.28", "ports": [{"name": "web", "containerPort": 8081}]})

    async def edited() -> bool:
        service, deployment = [await namespace.api.get(p, "decorated") for p in ("services", "deployments")]
        assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.28"
        assert [port["name"] for port in service["spec"]["ports"]] == ["web"]
        for child in (service, deployment):
            assert child["metadata"]["labels"]["cost-centre"] == "42"
            assert child["metadata"]["annotations"]["example.com/note"] == "kept"
        return True

    await eventually(edited)


async def test_field_of_ours_that_somebody_changes_is_put_back(namespace: Namespace) -> None:
    await namespace.create("stubborn")
    await namespace.reaches("stubborn", "Running", ready="True")

    change = {"spec": {"template": {"spec": {"containers": [{"name": "agent", "image": "nginx:evil"}]}}}}
    path = f"/apis/apps/v1/namespaces/{namespace.name}/deployments/stubborn"
    await namespace.api.call("PATCH", path, change, media="application/strategic-merge-patch+json")

    async def put_back() -> bool:
        deployment = await namespace.finds("deployments", "stubborn")
        return bool(deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.27")

    await eventually(put_back)


async def test_replicas_that_an_autoscaler_owns_are_kept(namespace: Namespace) -> None:
    await namespace.create("elastic", scaling={"minReplicas": 1, "maxReplicas": 5})
    await namespace.reaches("elastic", "Running", ready="True")
    await namespace.api.patch("deployments", "elastic", {"spec": {"replicas": 3}}, part="scale", manager="autoscaler")
    await namespace.has_pods("elastic", 3)

    await namespace.edit("elastic", agent={"image": "nginx:1.28"})
    await namespace.reaches("elastic", "Running", ready="True")

    async def three() -> None:
        assert (await namespace.finds("deployments", "elastic"))["spec"]["replicas"] == 3

    async def told() -> bool:
        status = (await namespace.agent("elastic"))["status"]
        return bool(status["replicas"] == status["readyReplicas"] == 3)

    await throughout(three, for_s=1.0)
    await eventually(told)  # a rolling update has one more for a while


async def test_scale_subresource_of_the_agent_moves_the_deployment(namespace: Namespace) -> None:
    await namespace.create("scaled")
    await namespace.reaches("scaled", "Running", ready="True")
    path = f"/apis/agents.example.com/v1/namespaces/{namespace.name}/{AGENTS}/scaled/scale"

    await namespace.api.call("PATCH", path, {"spec": {"replicas": 3}}, media=MERGE)

    await has_replicas(namespace, "scaled", 3)
    await namespace.reaches("scaled", "Running", ready="True")
    scale = await namespace.api.call("GET", path)
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (3, 3)
    selected = await namespace.api.list("pods", scale["status"]["selector"])
    assert len(selected) == 3


async def test_change_of_the_workload_kind_replaces_the_workload(namespace: Namespace) -> None:
    await namespace.create("changer")
    await namespace.reaches("changer", "Running", ready="True")

    await namespace.edit("changer", workload={"kind": "CronJob", "schedule": "0 3 * * *"})

    async def replaced() -> bool:
        children = await namespace.children("changer")
        return children.get("cronjobs") == ["changer"] and "deployments" not in children

    await eventually(replaced)
    await namespace.says("changer", "Scheduled")
