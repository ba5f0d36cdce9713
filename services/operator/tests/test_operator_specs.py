import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent_operator.children.specs import Parsed, SpecReader
from agent_operator.objects import AgentObject
from agent_operator.platform import read_platform
from agent_operator.status.finding import Finding
from agent_render import PlatformSettings

NGINX = {"image": "nginx:1.27"}


def stored(spec: Any, *, generation: int = 1, uid: str = "one") -> AgentObject:
    metadata = {"name": "subject", "namespace": "team", "uid": uid, "generation": generation}
    return msgspec.json.decode(json.dumps({"metadata": metadata, "spec": spec}), type=AgentObject)


def read(spec: Any) -> Parsed | Finding:
    return SpecReader(PlatformSettings()).read(stored(spec))


def test_spec_becomes_children() -> None:
    found = read({"agent": NGINX})

    assert isinstance(found, Parsed)
    assert [manifest["kind"] for manifest in found.rendered] == ["ServiceAccount", "NetworkPolicy", "Deployment"]
    assert found.agent.metadata.uid == "one"


def test_spec_is_rendered_once_for_each_generation() -> None:
    reader = SpecReader(PlatformSettings())
    first = reader.read(stored({"agent": NGINX}))

    assert reader.read(stored({"agent": NGINX})) is first
    second = reader.read(stored({"agent": {"image": "nginx:1.28"}}, generation=2))
    assert isinstance(second, Parsed)
    assert second.agent.spec.agent.image == "nginx:1.28"
    assert reader.read(stored({"agent": NGINX}, uid="two")) is not first


def test_what_was_not_asked_for_lately_is_forgotten() -> None:
    reader = SpecReader(PlatformSettings(), remembered=2)
    kept = reader.read(stored({"agent": NGINX}, uid="kept"))
    lost = reader.read(stored({"agent": NGINX}, uid="lost"))
    reader.read(stored({"agent": NGINX}, uid="kept"))
    reader.read(stored({"agent": NGINX}, uid="new"))

    assert reader.read(stored({"agent": NGINX}, uid="kept")) is kept
    assert reader.read(stored({"agent": NGINX}, uid="lost")) is not lost


def test_unknown_settings_are_collected() -> None:
    main = {"name": "main", "type": "openai", "credentialsSecret": "keys", "config": {"modle": "x"}}

    found = read({"agent": NGINX, "llm": {"providers": [main]}})

    assert isinstance(found, Parsed)
    assert found.unknown_settings == ("spec.llm.providers[0].config.modle",)


@pytest.mark.parametrize(
    "spec, words",
    [
        ({"agent": {}}, "spec.agent: an image is needed"),
        ({"agent": {"image": 5}}, "spec.agent.image"),
        ({"agent": NGINX, "workload": {"kind": "CronJob"}}, "spec.workload: a CronJob needs a schedule"),
    ],
)
def test_spec_that_a_rule_of_today_refuses_is_a_finding(spec: Any, words: str) -> None:
    found = read(spec)

    assert isinstance(found, Finding)
    assert found.reason == "Invalid"
    assert found.message.startswith(words)


def test_a_pod_monitor_is_rendered_only_while_the_cluster_has_that_api() -> None:
    obj = stored({"agent": NGINX, "tools": {"required": ["git"]}, "monitoring": {}})
    reader = SpecReader(PlatformSettings(pod_monitors=True))

    def kinds(*, pod_monitors: bool) -> list[str]:
        found = reader.read(obj, pod_monitors=pod_monitors)
        assert isinstance(found, Parsed)
        return [manifest["kind"] for manifest in found.rendered]

    assert "PodMonitor" not in kinds(pod_monitors=False)
    assert "PodMonitor" in kinds(pod_monitors=True)
    assert "PodMonitor" not in kinds(pod_monitors=False)


def test_an_unknown_group_of_metrics_is_named() -> None:
    found = read({"agent": NGINX, "monitoring": {"metrics": ["weather"]}})

    assert isinstance(found, Parsed)
    assert found.unknown_settings == ("spec.monitoring.metrics[0]",)


def test_the_operators_own_word_on_traces_goes_before_the_files(tmp_path: Path) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text("tracingEndpoint: http://file:4318")

    assert read_platform(file).tracing_endpoint == "http://file:4318"
    assert read_platform(file, tracing_endpoint="http://flag:4318").tracing_endpoint == "http://flag:4318"
    assert read_platform(None, tracing_endpoint="http://flag:4318").tracing_endpoint == "http://flag:4318"


def test_agents_let_the_operator_in_from_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text("network: {operatorNamespace: elsewhere}\n")

    assert read_platform(None, namespace="acme").network.operator_namespace == "acme"
    assert read_platform(file, namespace="acme").network.operator_namespace == "elsewhere"
