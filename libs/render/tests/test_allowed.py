"""What a platform lets authors choose: a refusal names the field, the value and what is allowed."""

from typing import Any

import pytest

from agent_api.agenttype import AgentType
from agent_api.problems import examine
from agent_render import PlatformSettings, UnsupportedError, parse_settings, render
from agent_render.allowed import is_from

NOTHING = parse_settings(
    {
        "pod": {
            "runtimeClassName": "gvisor",
            "nodeSelector": {"pool": "agents"},
            "tolerations": [{"key": "dedicated"}],
        },
        "storageClass": "standard",
        "allowed": {name: [] for name in PlatformSettings().allowed.model_dump(by_alias=True)},
    }
)


def agent(spec: dict[str, Any], **of_agent: Any) -> AgentType:
    verdict = examine(
        {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": "web", "namespace": "agents"},
            "spec": {"agent": {"image": "nginx", **of_agent}, **spec},
        }
    )
    assert verdict.agent is not None, verdict.problems
    return verdict.agent


def volume(**kind: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "v", **kind}], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}


CHOICES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {}, "agent.image: the platform does not allow nginx; allowed: none"),
    ({}, {"environment": {"image": "init:1"}}, "agent.environment.image"),
    ({}, volume(image={"reference": "weights:1"}), "agent.volumes.image"),
    ({"pod": {"runtimeClassName": "runc"}}, {}, "pod.runtimeClassName: the platform does not allow runc"),
    ({"pod": {"priorityClassName": "high"}}, {}, "pod.priorityClassName"),
    ({"pod": {"schedulerName": "own"}}, {}, "pod.schedulerName"),
    ({"pod": {"nodeSelector": {"pool": "gpu"}}}, {}, "pod.nodeSelector: the platform does not allow pool"),
    (
        {"pod": {"tolerations": [{"operator": "Exists"}]}},
        {},
        "pod.tolerations: the platform does not allow every taint",
    ),
    ({"pod": {"annotations": {"a": "b"}}}, {}, "pod.annotations"),
    ({"pod": {"serviceAccount": {"annotations": {"a": "b"}}}}, {}, "pod.serviceAccount.annotations"),
    ({}, volume(configMap={"name": "c"}), "agent.volumes: the platform does not allow configMap"),
    ({}, volume(csi={"driver": "d"}), "agent.volumes.csi: the platform does not allow d"),
    ({"workspace": {"persistent": True, "storageClass": "fast"}}, {}, "workspace.storageClass"),
    (
        {"memory": {"type": "redis", "config": {"persistence": True, "storageClass": "fast"}}},
        {},
        "memory.config.storageClass",
    ),
]


@pytest.mark.parametrize("spec,of_agent,words", CHOICES, ids=[words[:40] for _, _, words in CHOICES])
def test_what_is_not_allowed_is_refused_with_the_field_and_taken_without_restrictions(
    spec: dict[str, Any], of_agent: dict[str, Any], words: str
) -> None:
    found = agent(spec, **of_agent)

    with pytest.raises(UnsupportedError) as error:
        render(found, NOTHING)

    assert words in str(error.value)
    assert render(found, PlatformSettings())


def test_the_platforms_own_defaults_need_no_permission() -> None:
    code = {"runtime": "python", "source": {"type": "local", "configMap": "c"}}
    found = agent({"workspace": {"persistent": True}}, image=None, type="code", code=code)

    assert render(found, NOTHING)


def test_everything_that_is_refused_is_named_at_once() -> None:
    with pytest.raises(UnsupportedError, match=r"agent\.image.*pod\.runtimeClassName.*pod\.schedulerName"):
        render(agent({"pod": {"runtimeClassName": "runc", "schedulerName": "own"}}), NOTHING)


@pytest.mark.parametrize(
    "image,registry,allowed",
    [
        ("registry.example.com/crew/a:1", "registry.example.com", True),
        ("registry.example.com/crew/a:1", "registry.example.com/crew", True),
        ("registry.example.com/crewless/a:1", "registry.example.com/crew", False),
        ("registry.example.com.evil.io/a", "registry.example.com", False),
        ("registry.example.com:5000/a", "registry.example.com", False),
        ("nginx", "docker.io", True),
        ("crew/a@sha256:0", "docker.io/crew", True),
        ("nginx", "docker.io/crew", False),
        ("localhost/a", "docker.io", False),
        ("evil.io/registry.example.com/a", "registry.example.com", False),
    ],
)
def test_an_image_is_of_a_registry_by_whole_parts_of_its_name(image: str, registry: str, allowed: bool) -> None:
    assert is_from(image, (registry,)) is allowed
