"""The secrets of an agent's Pods: where they are, and where they are not."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_api import layout
from agent_api.problems import examine
from agent_render import PlatformSettings, render
from agent_render.objects.podkeys import KEYS_HASH, PodKeys, with_keys

WHOLE = Path(__file__).parent / "agents" / "whole.yaml"
KEYS = PodKeys("a-secret-of-this-agent")


def manifests(**workload: str) -> tuple[dict[str, Any], ...]:
    document = yaml.safe_load(WHOLE.read_text())
    document["spec"].pop("scaling", None)
    document["spec"]["workload"] = workload or {"kind": "Deployment"}
    verdict = examine(document)
    assert verdict.agent is not None, verdict.problems
    name = f"{verdict.agent.metadata.name}-berth"
    return with_keys(render(verdict.agent, PlatformSettings()), KEYS, name)


def one(kind: str, found: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return next(each for each in found if each["kind"] == kind)


def test_each_sidecar_sees_its_own_token_and_no_container_the_key_they_come_from() -> None:
    found = manifests()
    data = one("ConfigMap", found)["data"]
    pod = one("Deployment", found)["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    seen: dict[str, set[str]] = {}
    for container in (*pod["initContainers"], *pod["containers"]):
        mounted = (volumes[mount["name"]].get("configMap", {}) for mount in container["volumeMounts"])
        seen[container["name"]] = {item["key"] for each in mounted for item in each.get("items", [])}
    assert seen["llmgateway"] == {layout.GATEWAY_KEY, layout.GATEWAY_TOKEN_KEY, layout.GATEWAY_REPORT_KEY}
    assert seen["toolproxy"] == {layout.TOOLS_KEY, layout.TOOLS_TOKEN_KEY, layout.TOOLS_REPORT_KEY}
    assert all(layout.POD_KEY not in keys for keys in seen.values())
    own = {layout.GATEWAY_TOKEN_KEY, layout.TOOLS_TOKEN_KEY, layout.GATEWAY_REPORT_KEY, layout.TOOLS_REPORT_KEY}
    assert len({data[name] for name in own} | {KEYS.secret}) == 5
    assert not any(data[name] in json.dumps(each) for name in own for each in found if each["kind"] != "ConfigMap")


def test_the_agent_has_the_tokens_and_not_the_keys_of_reports() -> None:
    (agent,) = one("Deployment", manifests())["spec"]["template"]["spec"]["containers"]
    keys = {
        entry["valueFrom"]["configMapKeyRef"]["key"]
        for entry in agent["env"]
        if "configMapKeyRef" in entry.get("valueFrom", {})
    }
    assert keys == {layout.GATEWAY_TOKEN_KEY, layout.TOOLS_TOKEN_KEY}


@pytest.mark.parametrize(
    "workload", [{"kind": "Deployment"}, {"kind": "Job"}, {"kind": "CronJob", "schedule": "* * * * *"}]
)
def test_other_keys_are_other_pods(workload: dict[str, str]) -> None:
    found = one(workload["kind"], manifests(**workload))
    spec = found["spec"]["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else found["spec"]
    assert KEYS_HASH in spec["template"]["metadata"]["annotations"]
    assert KEYS.secret not in json.dumps(found)


def test_keys_do_not_show_themselves_and_are_never_equal() -> None:
    assert KEYS.secret not in repr(KEYS)
    assert len({PodKeys.new().secret for _ in range(100)}) == 100
