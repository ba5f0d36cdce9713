"""User ids from the range of a namespace: distinct in each Pod, and none outside of the range."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_api.problems import examine
from agent_render import PlatformSettings, render
from agent_render.errors import UnsupportedError
from agent_render.settings.userids import UserIds

WHOLE = Path(__file__).parent / "agents" / "whole.yaml"
FIRST = 1_000_680_000
SETTINGS = PlatformSettings(user_ids=UserIds(namespaces={"harbour": FIRST}))


def templates(namespace: str, settings: PlatformSettings, **security: Any) -> list[dict[str, Any]]:
    """The Pod templates of an agent with everything, and of its memory."""
    document = yaml.safe_load(WHOLE.read_text())
    document["metadata"]["namespace"] = namespace
    document["spec"] |= {"security": security, "memory": {"type": "redis"}}
    document["spec"]["agent"].get("container", {}).pop("securityContext", None)
    verdict = examine(document)
    assert verdict.agent is not None, verdict.problems
    found = [one["spec"] for one in render(verdict.agent, settings) if one["kind"] in {"Deployment", "StatefulSet"}]
    return [one["template"]["spec"] for one in found]


def users(pod: dict[str, Any]) -> dict[str, int]:
    containers = (*pod.get("initContainers", ()), *pod["containers"])
    return {one["name"]: one["securityContext"]["runAsUser"] for one in containers}


def test_a_namespace_with_a_range_has_distinct_users_of_it() -> None:
    pods = templates("harbour", SETTINGS)

    assert len(pods) == 2
    for pod in pods:
        assert pod["securityContext"]["fsGroup"] == FIRST
        assert all(FIRST < uid <= FIRST + 10 for uid in users(pod).values()), users(pod)
    agent = max(pods, key=lambda pod: len(users(pod)))
    assert len(set(users(agent).values())) == len(users(agent)) >= 4


def test_other_namespaces_keep_the_fixed_users() -> None:
    for pod in templates("office", SETTINGS):
        assert pod["securityContext"]["fsGroup"] == 10000
        assert all(10000 < uid <= 10010 for uid in users(pod).values())


def test_an_author_cannot_take_the_user_of_a_sidecar() -> None:
    with pytest.raises(UnsupportedError, match=f"{FIRST + 3} belongs to the platform's containers here"):
        templates("harbour", SETTINGS, podSecurityContext={"runAsUser": FIRST + 3})
