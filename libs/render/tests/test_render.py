"""What must hold of any rendering, whatever the agent."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.initplan import InitPlan
from agent_api.problems import examine
from agent_render import PlatformSettings, UnsupportedError, pod_template, render
from agent_render.containers.toolproxy import tools_config
from agent_render.posture import weaknesses

AGENTS = sorted((Path(__file__).parent / "agents").glob("*.yaml"))
SETTINGS = PlatformSettings()


def parse(document: dict[str, Any]) -> AgentType:
    verdict = examine(document)
    assert verdict.agent is not None, verdict.problems
    return verdict.agent


def agent(*, spec: dict[str, Any] | None = None, **agent_spec: Any) -> AgentType:
    return parse(
        {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": "web", "namespace": "agents"},
            "spec": {"agent": agent_spec or {"image": "nginx:1.27"}, **(spec or {})},
        }
    )


WHOLE: dict[str, Any] = {
    "tools": {"required": ["git"]},
    "memory": {"type": "inmemory", "size": "64Mi"},
    "llm": {"providers": [{"name": "main", "type": "mock"}]},
}


def init_containers(found: AgentType) -> dict[str, dict[str, Any]]:
    return {container["name"]: container for container in pod_template(found, SETTINGS)["spec"]["initContainers"]}


def kinds(found: AgentType) -> list[str]:
    return [manifest["kind"] for manifest in render(found, SETTINGS)]


def main_container(found: AgentType, settings: PlatformSettings = SETTINGS) -> dict[str, Any]:
    container: dict[str, Any] = pod_template(found, settings)["spec"]["containers"][0]
    return container


def env(found: AgentType) -> dict[str, str]:
    return {e["name"]: e.get("value", "") for e in main_container(found)["env"]}


@pytest.mark.parametrize("file", AGENTS, ids=lambda f: f.stem)
def test_every_container_but_a_baseline_agent_passes_restricted(file: Path) -> None:
    found = parse(yaml.safe_load(file.read_text()))
    pod = pod_template(found, SETTINGS)["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert "hostNetwork" not in pod
    assert "shareProcessNamespace" not in pod
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        if found.spec.security.profile == "baseline" and container in pod["containers"]:
            continue
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"]["drop"] == ["ALL"]
        assert context["seccompProfile"]["type"] == "RuntimeDefault"
        assert set(context["capabilities"].get("add", ())) <= {"NET_BIND_SERVICE"}


@pytest.mark.parametrize("file", AGENTS, ids=lambda f: f.stem)
def test_every_mount_has_its_volume_and_every_volume_a_mount(file: Path) -> None:
    pod = pod_template(parse(yaml.safe_load(file.read_text())), SETTINGS)["spec"]
    volumes = [volume["name"] for volume in pod["volumes"]]
    mounted = [m["name"] for c in (*pod.get("initContainers", ()), *pod["containers"]) for m in c["volumeMounts"]]

    assert len(volumes) == len(set(volumes))
    assert set(volumes) == set(mounted)


@pytest.mark.parametrize("file", AGENTS, ids=lambda f: f.stem)
def test_every_object_is_labelled_and_in_the_agents_namespace(file: Path) -> None:
    found = parse(yaml.safe_load(file.read_text()))

    for manifest in render(found, SETTINGS):
        assert manifest["metadata"]["namespace"] == found.metadata.namespace
        labels = manifest["metadata"]["labels"]
        assert labels["agents.example.com/agent"] == found.metadata.name
        assert labels["app.kubernetes.io/managed-by"] == "agentberth"


@pytest.mark.parametrize("file", AGENTS, ids=lambda f: f.stem)
def test_rendering_twice_gives_the_same_bytes(file: Path) -> None:
    found = parse(yaml.safe_load(file.read_text()))

    assert json.dumps(render(found, SETTINGS)) == json.dumps(render(found, SETTINGS))


def test_a_plain_image_needs_no_init_container_and_no_configuration() -> None:
    assert kinds(agent()) == ["ServiceAccount", "NetworkPolicy", "Deployment"]
    assert "initContainers" not in pod_template(agent(), SETTINGS)["spec"]


def test_only_the_init_container_writes_the_shared_volume() -> None:
    pod = pod_template(agent(image="a", environment={"volume": {"sizeLimit": "1Gi"}}), SETTINGS)["spec"]
    shared = {
        c["name"]: m
        for c in (*pod["initContainers"], *pod["containers"])
        for m in c["volumeMounts"]
        if m["name"] == "shared"
    }

    assert "readOnly" not in shared["initenv"]
    assert shared["agent"]["readOnly"] is True


def test_the_plan_in_the_config_map_is_what_initenv_reads() -> None:
    found = parse(yaml.safe_load((AGENTS[0].parent / "code-python.yaml").read_text()))
    (config_map,) = (m for m in render(found, SETTINGS) if m["kind"] == "ConfigMap")

    plan = InitPlan.model_validate_json(config_map["data"][layout.INIT_KEY])

    assert plan.packages is not None
    assert plan.packages.version == "3.12"
    assert plan.packages.lock == "/etc/agentberth/lock/requirements.txt"
    assert plan.code is not None
    assert plan.code.kind == "git"
    assert plan.code.path == "src"


def test_a_change_of_the_plan_rolls_the_pods_and_nothing_else_does() -> None:
    def annotation(packages: list[str], replicas: int) -> str:
        found = agent(
            spec={"replicas": replicas}, image="a", environment={"sdk": {"runtime": "python", "packages": packages}}
        )
        hashes: dict[str, str] = pod_template(found, SETTINGS)["metadata"]["annotations"]
        return hashes["agents.example.com/init-hash"]

    assert annotation(["requests"], 1) == annotation(["requests"], 2)
    assert annotation(["requests"], 1) != annotation(["httpx"], 1)


def test_the_users_variable_wins_and_keeps_its_place() -> None:
    found = agent(image="a", environment={"variables": [{"name": "PYTHONPYCACHEPREFIX", "value": "/workspace/cache"}]})

    assert env(found)["PYTHONPYCACHEPREFIX"] == "/workspace/cache"
    assert len(env(found)) == len(main_container(found)["env"])


def test_search_paths_are_joined_not_replaced() -> None:
    sdk = {"runtime": "python", "packages": ["requests"]}
    variables = [{"name": "PYTHONPATH", "value": "/app/lib"}, {"name": "PATH", "value": "/app/bin:/bin"}]

    found = env(agent(image="a", environment={"sdk": sdk, "variables": variables}))

    assert found["PYTHONPATH"] == "/shared/sdk/python:/app/lib"
    assert found["PATH"] == "/shared/bin:/shared/sdk/python/bin:/app/bin:/bin"


def test_an_image_keeps_the_path_it_was_built_with() -> None:
    sdk = {"runtime": "python", "packages": ["requests"]}

    assert "PATH" not in env(agent(image="a", environment={"sdk": sdk}))


def test_scaling_leaves_the_number_of_replicas_to_the_autoscaler() -> None:
    rendered = render(agent(spec={"scaling": {"maxReplicas": 3}}), SETTINGS)
    deployment = next(m for m in rendered if m["kind"] == "Deployment")

    assert "replicas" not in deployment["spec"]


def test_scaling_is_by_the_agent_container_alone_unless_the_user_says_otherwise() -> None:
    *_, autoscaler, budget = render(agent(spec={"scaling": {"minReplicas": 2, "maxReplicas": 3}}), SETTINGS)

    assert autoscaler["spec"]["metrics"][0]["containerResource"]["container"] == "agent"
    assert budget["spec"]["maxUnavailable"] == 1

    own = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    *_, autoscaler, _ = render(agent(spec={"scaling": {"maxReplicas": 3, "metrics": [own]}}), SETTINGS)
    assert autoscaler["spec"]["metrics"] == [own]


@pytest.mark.parametrize("spec", [{}, {"replicas": 1}, {"scaling": {"maxReplicas": 1}}])
def test_a_single_pod_has_no_disruption_budget(spec: dict[str, Any]) -> None:
    assert "PodDisruptionBudget" not in kinds(agent(spec=spec))


@pytest.mark.parametrize(
    "workload,field,value",
    [
        ({"kind": "Deployment"}, "replicas", 0),
        ({"kind": "Job"}, "suspend", True),
        ({"kind": "CronJob", "schedule": "@daily"}, "suspend", True),
    ],
)
def test_suspended_agents_have_no_pods(workload: dict[str, Any], field: str, value: object) -> None:
    manifest = render(agent(spec={"suspend": True, "workload": workload}), SETTINGS)[-1]

    assert manifest["spec"][field] == value


def test_a_jobs_name_changes_with_its_spec_but_not_with_suspend() -> None:
    def name(**spec: Any) -> str:
        rendered: str = render(agent(spec={"workload": {"kind": "Job"}, **spec}), SETTINGS)[-1]["metadata"]["name"]
        return rendered

    assert name() == name(suspend=True)
    assert name() != name(resources={"profile": "large"})
    assert len(f"{'a' * 52}-{name().rpartition('-')[2]}") <= 63


def test_a_folder_beside_the_manifest_cannot_be_seen_by_a_pod() -> None:
    code = {"runtime": "python", "source": {"type": "local", "path": "agent"}}

    with pytest.raises(UnsupportedError, match="beside the manifest"):
        render(agent(type="code", code=code), SETTINGS)


def test_a_folder_of_the_init_image_is_used_where_it_is() -> None:
    code = {"runtime": "python", "source": {"type": "local", "path": "/opt/agent"}}

    (config_map,) = (m for m in render(agent(type="code", code=code), SETTINGS) if m["kind"] == "ConfigMap")

    assert json.loads(config_map["data"]["init.json"])["code"] == {"kind": "local", "folder": "/opt/agent"}


def test_code_can_run_in_an_image_of_ones_own() -> None:
    code = {"runtime": "python", "source": {"type": "local", "configMap": "c"}}
    found = agent(type="code", code=code, container={"image": "my-runtime:1"})

    assert main_container(found)["image"] == "my-runtime:1"
    assert main_container(found)["command"] == ["python", "main.py"]
    assert "PATH" not in env(found)


def test_runtime_table_pins_a_version_to_an_image() -> None:
    runtimes = {"python": {**SETTINGS.runtimes.python.model_dump(), "versions": {"3.12": "python@sha256:abc"}}}
    settings = PlatformSettings.model_validate({"runtimes": runtimes})
    code = {"runtime": "python", "version": "3.12", "source": {"type": "local", "configMap": "c"}}

    assert main_container(agent(type="code", code=code), settings)["image"] == "python@sha256:abc"


@pytest.mark.parametrize(
    "spec,weakness",
    [
        ({"security": {"profile": "baseline"}}, "profile baseline"),
        ({"security": {"networkPolicy": {"enabled": False}}}, "networkPolicy is off"),
        (
            {
                "security": {
                    "podSecurityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"}}
                }
            },
            "seccomp follows the node's profile p.json",
        ),
        ({"security": {"podSecurityContext": {"runAsGroup": 0}}}, "the agent container has root's group"),
        ({"security": {"podSecurityContext": {"supplementalGroups": [0]}}}, "all containers have root's group"),
        ({"security": {"podSecurityContext": {"fsGroup": 0}}}, "all containers have root's group"),
    ],
)
def test_what_is_weaker_than_the_default_is_named(spec: dict[str, Any], weakness: str) -> None:
    assert any(weakness in text for text in weaknesses(agent(spec=spec), SETTINGS))
    assert weaknesses(agent(), SETTINGS) == ()


def test_the_platform_may_choose_baseline_for_agents_that_do_not_say() -> None:
    settings = PlatformSettings(security_profile="baseline")

    assert "runAsUser" not in main_container(agent(), settings)["securityContext"]
    assert main_container(agent(spec={"security": {"profile": "restricted"}}), settings)["securityContext"]["runAsUser"]


@pytest.mark.parametrize(
    "own, user, group",
    [
        ({}, layout.AGENT_UID, layout.POD_GID),
        ({"runAsGroup": 3000}, layout.AGENT_UID, 3000),
        ({"runAsUser": 2000}, 2000, layout.POD_GID),
    ],
)
def test_the_pod_names_no_group_without_a_user_since_no_sandbox_would_start(
    own: dict[str, int], user: int, group: int
) -> None:
    found = agent(spec={"security": {"podSecurityContext": own}})

    context = main_container(found)["securityContext"]

    assert (context["runAsUser"], context["runAsGroup"]) == (user, group)
    assert "runAsGroup" not in pod_template(found, SETTINGS)["spec"]["securityContext"]


def test_the_pods_own_context_reaches_the_agent_container_and_no_other() -> None:
    seccomp = {"type": "Localhost", "localhostProfile": "p.json"}
    own = {"runAsNonRoot": True, "seccompProfile": seccomp}
    found = agent(
        spec={"security": {"profile": "baseline", "podSecurityContext": own}},
        image="a",
        environment={"volume": {"sizeLimit": "1Gi"}},
    )

    context = main_container(found)["securityContext"]

    assert (context["runAsNonRoot"], context["seccompProfile"]) == (True, seccomp)
    (init,) = pod_template(found, SETTINGS)["spec"]["initContainers"]
    assert init["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_setup_commands_are_in_a_container_without_the_secrets_of_preparation() -> None:
    source = {"type": "git", "repository": "https://git.example.com/a", "credentialsSecret": "git"}
    environment = {
        "sdk": {"packages": ["requests"], "indexSecret": "index", "lockConfigMap": "lock"},
        "files": [{"path": "a", "configMapKeyRef": {"name": "files", "key": "a"}}],
        "setup": [{"name": "s", "command": ["true"]}],
    }
    found = agent(spec=WHOLE, type="code", code={"source": source, "runtime": "python"}, environment=environment)
    containers = init_containers(found)

    assert list(containers)[-2:] == ["initenv", "initenv-setup"]
    assert containers["initenv"]["args"] == ["--phase", "prepare"]
    assert containers["initenv-setup"]["args"][:3] == ["--phase", "setup", "--await"]
    mounted = {name: {m["name"] for m in containers[name]["volumeMounts"]} for name in ("initenv", "initenv-setup")}
    assert {"git", "index", "lock"} <= mounted["initenv"]
    assert mounted["initenv-setup"] == {"shared", "tmp-initenv-setup", "init"}


@given(names=st.lists(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True), unique=True, max_size=12))
def test_the_users_variables_keep_their_order(names: list[str]) -> None:
    own = [
        name for name in names if not name.startswith(("AGENT_", "PATH", "LLM_", "MCP_", "TOOL_", "NODE_", "PYTHON"))
    ]
    found = agent(image="a", environment={"variables": [{"name": n, "value": n} for n in own]})

    assert [name for name in env(found) if name in own] == own


def test_sidecars_start_first_and_the_init_container_awaits_them() -> None:
    files = {"files": [{"path": "a.txt", "content": "a"}]}
    early = init_containers(agent(image="nginx:1.27", environment=files, spec=WHOLE))

    assert list(early) == [layout.TOOLPROXY, layout.LLMGATEWAY, layout.MEMORY, layout.INITENV]
    assert early.pop(layout.INITENV)["args"] == [
        *("--await", "toolproxy=http://127.0.0.1:9802/readyz"),
        *("--await", "llmgateway=http://127.0.0.1:9801/readyz"),
        *("--await", "memory=tcp://127.0.0.1:6379"),
    ]
    for sidecar in early.values():
        assert "startupProbe" not in sidecar  # the next container would wait for it
        assert sidecar["livenessProbe"]["initialDelaySeconds"] == 60


def test_without_an_init_container_startup_probes_hold_the_agent_back() -> None:
    early = init_containers(agent(spec=WHOLE))

    assert list(early) == [layout.TOOLPROXY, layout.LLMGATEWAY, layout.MEMORY]
    assert all("startupProbe" in sidecar for sidecar in early.values())


def test_an_init_container_without_sidecars_awaits_nobody() -> None:
    files = {"files": [{"path": "a.txt", "content": "a"}]}
    assert "args" not in init_containers(agent(image="nginx:1.27", environment=files))[layout.INITENV]


@pytest.mark.parametrize(
    "limit,left", [(None, 768 << 20), ("512Mi", 256 << 20), ("300Mi", 64 << 20), ("8Gi", 1 << 30), ("1G", 731564544)]
)
def test_a_tool_gets_less_memory_than_its_container(limit: str | None, left: int) -> None:
    spec: dict[str, Any] = {"tools": {"required": ["git"]}}
    if limit is not None:
        spec["resources"] = {"toolproxy": {"limits": {"memory": limit}}}
    made = agent(spec=spec)
    assert made.spec.tools is not None

    assert tools_config(made, made.spec.tools, SETTINGS).limits.memory_bytes == left
