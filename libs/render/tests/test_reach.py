"""What is within reach of a package that runs while an agent is prepared: one agent that has everything."""

from typing import Any

import pytest

from agent_api import layout
from agent_api.problems import examine
from agent_render import PlatformSettings, pod_template

SPEC: dict[str, Any] = {
    "agent": {
        "type": "code",
        "code": {
            "runtime": "python",
            "source": {
                "type": "git",
                "repository": "https://git.example.com/team/agent.git",
                "revision": "main",
                "credentialsSecret": "git",
            },
        },
        "environment": {
            "variables": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "own", "key": "token"}}}],
            "sdk": {"packages": ["requests"], "indexSecret": "index"},
            "setup": [{"name": "warm", "command": ["python3", "-c", "import requests"]}],
        },
        "volumes": [
            {"name": "account", "projected": {"sources": [{"serviceAccountToken": {"audience": "vault"}}]}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        ],
        "volumeMounts": [{"name": "account", "mountPath": "/account"}, {"name": "data", "mountPath": "/data"}],
    },
    "tools": {
        "indexSecret": "tools-index",
        "custom": [{"name": "t", "source": "mcp+https://t.example.com/mcp", "credentialsSecret": "t"}],
    },
    "memory": {"type": "inmemory"},
    "llm": {"providers": [{"name": "main", "type": "openai", "credentialsSecret": "openai", "config": {"model": "m"}}]},
}
SETUP = {layout.CONFIG_INIT, layout.SHARED, layout.TMP}
SEEN = {
    layout.SETUP: SETUP,
    layout.INITENV: SETUP | {layout.CONFIG_GIT, layout.CONFIG_INDEX},
}


@pytest.fixture(scope="module")
def containers() -> dict[str, dict[str, Any]]:
    document = {"apiVersion": "agents.example.com/v1", "kind": "AgentType", "metadata": {"name": "a"}, "spec": SPEC}
    verdict = examine(document)
    assert verdict.agent is not None, verdict.problems
    pod = pod_template(verdict.agent, PlatformSettings())["spec"]
    assert pod["automountServiceAccountToken"] is False
    return {each["name"]: each for each in (*pod["initContainers"], *pod["containers"])}


@pytest.mark.parametrize("name", SEEN)
def test_what_prepares_sees_no_secret_tool_workspace_or_token_but_its_own(
    containers: dict[str, dict[str, Any]], name: str
) -> None:
    assert {each["mountPath"] for each in containers[name]["volumeMounts"]} == SEEN[name]
    assert not containers[name].get("env")


def test_a_token_of_the_account_is_seen_by_the_agent_alone(containers: dict[str, dict[str, Any]]) -> None:
    mounted = {name: {at["mountPath"] for at in each["volumeMounts"]} for name, each in containers.items()}
    assert {name for name, paths in mounted.items() if {"/account", "/data"} & paths} == {"agent"}
