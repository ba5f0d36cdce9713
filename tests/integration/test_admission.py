"""The generated admission policy on a real API server: it refuses what rendering refuses, in the same words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from integration.api import AGENTS, APPLY, Document, RefusedError
from integration.namespace import Namespace, agent_document
from integration.waiting import eventually

from agent_api.problems import examine
from agent_render import PlatformSettings, UnsupportedError, parse_settings, render
from agent_render.admission import admission_policy

GROUP = "/apis/agents.example.com/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
REGISTRIES = ["registry.example.com/crew", "docker.io/library", "evil.io"]
SETTINGS = parse_settings(
    {
        "allowed": {name: ["fine"] for name in PlatformSettings().allowed.model_dump(by_alias=True)}
        | {"registries": REGISTRIES, "volumes": ["csi", "image"]}
    }
)


def volume(**kind: Any) -> Document:
    return {
        "agent": {
            "image": "nginx",
            "volumes": [{"name": "v", **kind}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        }
    }


def of_redis(storage_class: str) -> Document:
    return {"memory": {"type": "redis", "config": {"persistence": True, "storageClass": storage_class}}}


SPECS: list[Document] = [
    {},
    {"agent": {"image": "registry.example.com/crew/a:1"}},
    {"agent": {"image": "registry.example.com/crewless/a:1"}},
    {"agent": {"image": "registry.example.com:5000/crew/a:1"}},
    {"agent": {"image": "crew/a"}},
    {"agent": {"image": "evil.io/a"}},
    {"agent": {"image": "evil.io.example.com/a"}},
    {"agent": {"image": "example.com/evil.io/a"}},
    {"agent": {"image": "localhost/library/a"}},
    {"agent": {"container": {"image": "quay.io/a"}}},
    {"agent": {"image": "nginx", "environment": {"image": "quay.io/init:1"}}},
    volume(image={"reference": "quay.io/weights:1"}),
    volume(image={"reference": "evil.io/weights:1"}),
    volume(csi={"driver": "fine"}),
    volume(csi={"driver": "other"}),
    volume(configMap={"name": "c"}),
    volume(emptyDir={}),
    {"pod": {"runtimeClassName": "fine"}},
    {"pod": {"runtimeClassName": "runc"}},
    {"pod": {"priorityClassName": "high"}},
    {"pod": {"schedulerName": "own"}},
    {"pod": {"nodeSelector": {"fine": "x", "pool": "gpu", "zone": "a"}}},
    {"pod": {"tolerations": [{"operator": "Exists"}, {"key": "fine"}, {"key": "gpu"}]}},
    {"pod": {"annotations": {"a": "b"}}},
    {"pod": {"serviceAccount": {"annotations": {"fine": "b", "a": "b"}}}},
    {"workspace": {"persistent": True, "storageClass": "fast"}},
    {"workspace": {"persistent": True, "storageClass": "fine"}},
    of_redis("fast"),
    of_redis("fine"),
    {"pod": {"runtimeClassName": "runc", "schedulerName": "own"}, "agent": {"image": "quay.io/a"}},
]


async def refusal(namespace: Namespace, document: Document) -> str:
    """The server's words when it refuses to create `document`, "" when it would take it."""
    try:
        await namespace.api.call(
            "POST",
            f"/apis/agents.example.com/v1/namespaces/{namespace.name}/{AGENTS}",
            document,
            query={"dryRun": "All"},
        )
    except RefusedError as error:
        return error.message
    return ""


def judged(document: Document) -> str:
    """What rendering says of it; "" when it takes it."""
    verdict = examine(document)
    assert verdict.agent is not None, verdict.problems
    try:
        render(verdict.agent, SETTINGS)
    except UnsupportedError as error:
        return str(error)
    return ""


@asynccontextmanager
async def in_force(namespace: Namespace) -> AsyncIterator[None]:
    """The policy, answering, for one namespace."""
    policy, binding = admission_policy(SETTINGS)
    names = {"kubernetes.io/metadata.name": namespace.name}
    binding["spec"]["matchResources"] = {"namespaceSelector": {"matchLabels": names}}
    paths = {
        f"{ADMISSION}/validatingadmissionpolicies/{policy['metadata']['name']}": policy,
        f"{ADMISSION}/validatingadmissionpolicybindings/{binding['metadata']['name']}": binding,
    }
    for path, document in paths.items():
        await namespace.api.call("PATCH", path, document, media=APPLY, query={"fieldManager": "test", "force": "true"})

    async def answers() -> bool:
        return "does not allow" in await refusal(namespace, agent_document("probe", agent={"image": "quay.io/a"}))

    await eventually(answers)
    try:
        yield
    finally:
        for path in reversed(paths):
            await namespace.api.call("DELETE", path)


async def test_the_api_server_refuses_what_rendering_refuses(own_namespace: Namespace) -> None:
    async with in_force(own_namespace):
        for number, spec in enumerate(SPECS):
            document = agent_document(f"a{number}", **{"agent": {"image": "nginx"}, **spec})
            expected = judged(document)
            said = await refusal(own_namespace, document)

            assert bool(said) is bool(expected), (spec, said, expected)
            if expected.count("does not allow") == 1:
                assert expected in said, (spec, said)


async def test_what_was_there_before_can_be_labelled_and_deleted_but_its_spec_not_changed(
    own_namespace: Namespace,
) -> None:
    await own_namespace.create("old", agent={"image": "quay.io/a"})
    async with in_force(own_namespace):
        await own_namespace.api.patch(AGENTS, "old", {"metadata": {"labels": {"a": "b"}}})
        with pytest.raises(RefusedError, match=r"agent\.image: the platform does not allow quay\.io/a"):
            await own_namespace.edit("old", pod={"labels": {"a": "b"}})
        await own_namespace.edit("old", agent={"image": "nginx"})
        await own_namespace.api.delete(AGENTS, "old")
