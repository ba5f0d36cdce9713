"""`spec.pod` over the platform's `pod`, and the author's volumes: what they reach, and what they cannot undo."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent_api.agenttype import AgentType
from agent_api.agenttype.kubernetes.resources import Resources
from agent_api.problems import examine
from agent_render import PlatformSettings, UnsupportedError, parse_settings, pod_template, render
from agent_render.containers.entry import without_init
from agent_render.parts.sizes import resources
from agent_render.posture import weaknesses

SETTINGS = PlatformSettings()
PLATFORM = parse_settings(
    {
        "pod": {
            "imagePullSecrets": [{"name": "mirror"}],
            "nodeSelector": {"pool": "agents", "zone": "a"},
            "tolerations": [{"key": "dedicated", "value": "agents"}],
            "topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname"}],
            "runtimeClassName": "gvisor",
            "annotations": {"example.com/owner": "platform"},
            "labels": {"cost-centre": "1"},
            "serviceAccount": {"annotations": {"example.com/bound": "yes"}},
            "terminationGracePeriodSeconds": 90,
        }
    }
)


def agent(pod: dict[str, Any] | None = None, *, spec: dict[str, Any] | None = None, **of_agent: Any) -> AgentType:
    verdict = examine(
        {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": "web", "namespace": "agents"},
            "spec": {"agent": {"image": "a", **of_agent}, **({"pod": pod} if pod else {}), **(spec or {})},
        }
    )
    assert verdict.agent is not None, verdict.problems
    return verdict.agent


def pod_of(found: AgentType, settings: PlatformSettings = SETTINGS) -> dict[str, Any]:
    spec: dict[str, Any] = pod_template(found, settings)["spec"]
    return spec


def one(kind: str, found: AgentType, settings: PlatformSettings = SETTINGS) -> dict[str, Any]:
    (manifest,) = (m for m in render(found, settings) if m["kind"] == kind)
    return manifest


def test_without_a_word_a_pod_has_none_of_these_fields() -> None:
    fields = {"imagePullSecrets", "nodeSelector", "tolerations", "affinity", "hostAliases", "dnsConfig"}

    assert fields.isdisjoint(pod_of(agent()))
    assert pod_of(agent())["terminationGracePeriodSeconds"] == SETTINGS.termination_grace_seconds
    assert "annotations" not in one("ServiceAccount", agent())["metadata"]


def test_the_platforms_settings_are_those_of_an_agent_that_says_nothing() -> None:
    pod = pod_of(agent(), PLATFORM)

    assert pod["nodeSelector"] == {"pool": "agents", "zone": "a"}
    assert pod["runtimeClassName"] == "gvisor"
    assert pod["terminationGracePeriodSeconds"] == 90
    assert one("ServiceAccount", agent(), PLATFORM)["metadata"]["annotations"] == {"example.com/bound": "yes"}


def test_maps_and_lists_are_added_up_and_the_rest_is_the_authors() -> None:
    own = agent(
        {
            "imagePullSecrets": [{"name": "own"}, {"name": "mirror"}],
            "nodeSelector": {"zone": "b"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 2}],
            "runtimeClassName": "kata",
            "labels": {"team": "crew"},
            "annotations": {"example.com/owner": "crew"},
            "terminationGracePeriodSeconds": 5,
        }
    )

    template = pod_template(own, PLATFORM)
    pod = template["spec"]

    assert pod["imagePullSecrets"] == [{"name": "mirror"}, {"name": "own"}]
    assert pod["nodeSelector"] == {"pool": "agents", "zone": "b"}
    assert [one["key"] for one in pod["tolerations"]] == ["dedicated", "gpu"]
    (spread,) = pod["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["maxSkew"]) == ("zone", 2)
    assert pod["runtimeClassName"] == "kata"
    assert pod["terminationGracePeriodSeconds"] == 5
    assert template["metadata"]["labels"].items() >= {"team": "crew", "cost-centre": "1"}.items()
    assert template["metadata"]["annotations"] == {"example.com/owner": "crew"}


def test_replicas_are_spread_by_their_own_labels_unless_others_are_named() -> None:
    spread = pod_of(agent({"topologySpreadConstraints": [{"topologyKey": "zone"}]}))["topologySpreadConstraints"]

    assert spread[0]["labelSelector"]["matchLabels"]["agents.example.com/agent"] == "web"

    other = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "x"}}}
    spread = pod_of(agent({"topologySpreadConstraints": [other]}))["topologySpreadConstraints"]
    assert spread[0]["labelSelector"] == {"matchLabels": {"app": "x"}}


def test_the_memory_runs_where_its_agent_does() -> None:
    better = {"weight": 1, "preference": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}}
    node = {"preferredDuringSchedulingIgnoredDuringExecution": [better]}
    apart = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}
    affinity = {"nodeAffinity": node, "podAntiAffinity": apart}
    found = agent(
        {"affinity": affinity, "tolerations": [{"key": "gpu", "operator": "Exists"}], "labels": {"team": "crew"}},
        spec={"memory": {"type": "redis"}},
    )

    template = one("StatefulSet", found, PLATFORM)["spec"]["template"]

    assert template["spec"]["nodeSelector"] == {"pool": "agents", "zone": "a"}
    assert template["spec"]["imagePullSecrets"] == [{"name": "mirror"}]
    assert template["spec"]["affinity"] == {"nodeAffinity": node}
    assert "topologySpreadConstraints" not in template["spec"]
    assert template["metadata"]["labels"]["app.kubernetes.io/component"] == "memory"


@given(
    labels=st.dictionaries(st.sampled_from(["app.kubernetes.io/name", "agents.example.com/agent", "x"]), st.just("y"))
)
def test_a_label_of_the_platform_is_the_platforms_even_where_a_rule_was_not_asked(labels: dict[str, str]) -> None:
    settings = SETTINGS.model_copy(update={"pod": SETTINGS.pod.model_copy(update={"labels": labels})})
    own = pod_template(agent(), SETTINGS)["metadata"]["labels"]

    assert pod_template(agent(), settings)["metadata"]["labels"].items() >= own.items()


def test_the_init_hash_stays_beside_the_authors_annotations() -> None:
    found = agent({"annotations": {"a": "b"}}, environment={"files": [{"path": "f", "content": "x"}]})

    assert set(pod_template(found, SETTINGS)["metadata"]["annotations"]) == {"a", "agents.example.com/init-hash"}


def test_volumes_are_the_agents_alone_and_cannot_take_the_place_of_the_platforms() -> None:
    found = agent(
        volumes=[{"name": "tools", "emptyDir": {}}, {"name": "tmp-agent", "secret": {"secretName": "s"}}],
        volumeMounts=[
            {"name": "tools", "mountPath": "/data"},
            {"name": "tmp-agent", "mountPath": "/keys", "subPath": "a", "readOnly": True},
        ],
        spec={"tools": {"required": ["git"]}},
    )

    pod = pod_of(found)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}

    assert volumes["own-tools"]["emptyDir"] == {"sizeLimit": SETTINGS.tmp_size}
    assert volumes["own-tmp-agent"]["secret"] == {"secretName": "s", "defaultMode": 0o440}
    assert volumes["tools"]["emptyDir"] == {"sizeLimit": SETTINGS.tools_size}
    mounts = pod["containers"][0]["volumeMounts"]
    assert {"name": "own-tmp-agent", "mountPath": "/keys", "subPath": "a", "readOnly": True} in mounts
    assert not [m for c in pod["initContainers"] for m in c["volumeMounts"] if m["name"].startswith("own-")]


def test_variables_of_the_platform_win_over_whole_secrets() -> None:
    found = agent(
        environment={"envFrom": [{"secretRef": {"name": "s"}}, {"prefix": "P_", "configMapRef": {"name": "c"}}]},
        workingDir="/srv",
    )

    container = pod_of(found)["containers"][0]

    assert container["envFrom"] == [{"secretRef": {"name": "s"}}, {"prefix": "P_", "configMapRef": {"name": "c"}}]
    assert "AGENT_NAME" in {entry["name"] for entry in container["env"]}  # to the kubelet, env wins over envFrom
    assert container["workingDir"] == "/srv"


@pytest.mark.parametrize(
    "entrypoint,file",
    [
        ([], "/shared/code/main.py"),
        (["a/b.py", "-x"], "/shared/code/a/b.py"),
        (["-m", "pkg"], "-m"),
        (["/x.py"], "/x.py"),
    ],
)
def test_code_is_found_wherever_the_agent_starts(entrypoint: list[str], file: str) -> None:
    code = {"runtime": "python", "source": {"type": "local", "configMap": "c"}, "entrypoint": entrypoint}
    found = agent(image=None, type="code", code=code, workingDir="/workspace")

    container = pod_of(found)["containers"][0]

    assert container["workingDir"] == "/workspace"
    assert without_init(tuple(container["command"]))[1] == file


def test_a_schedule_has_its_time_zone() -> None:
    workload = {"kind": "CronJob", "schedule": "0 9 * * *", "timeZone": "Europe/Berlin"}

    assert one("CronJob", agent(spec={"workload": workload}))["spec"]["timeZone"] == "Europe/Berlin"


def test_name_servers_of_ones_own_are_open_but_not_those_of_a_blocked_network() -> None:
    found = agent({"dnsConfig": {"nameservers": ["10.0.0.53"]}})

    egress = one("NetworkPolicy", found)["spec"]["egress"]

    assert {"ipBlock": {"cidr": "10.0.0.53/32"}} in [peer for rule in egress for peer in rule["to"]]
    with pytest.raises(UnsupportedError, match=r"dnsConfig\.nameservers: 169\.254\.169\.254 is within"):
        render(agent({"dnsConfig": {"nameservers": ["169.254.169.254"]}}), SETTINGS)


TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"audience": "vault"}}]}}


@pytest.mark.parametrize(
    "pod,of_agent,words",
    [
        ({"annotations": {"k8s.v1.cni.cncf.io/networks": "x"}}, {}, "networks that no NetworkPolicy covers"),
        ({"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:x"}}}, {}, "has the rights of arn:x"),
        ({"tolerations": [{"operator": "Exists"}]}, {}, "those of the control plane included"),
        ({"dnsConfig": {"nameservers": ["10.0.0.53"]}}, {}, "names are also resolved by 10.0.0.53"),
        ({"runtimeClassName": "runc"}, {}, "runc instead of the platform's gvisor"),
        (None, {"volumes": [{"name": "v", "csi": {"driver": "d"}}]}, "the CSI driver d decides"),
        (None, {"volumes": [{"name": "v", **TOKEN}]}, "a token of its account for vault"),
    ],
)
def test_what_weakens_is_named(pod: dict[str, Any] | None, of_agent: dict[str, Any], words: str) -> None:
    mounts: dict[str, Any] = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]} if of_agent else {}

    assert [text for text in weaknesses(agent(pod, **of_agent, **mounts), PLATFORM) if words in text]
    assert weaknesses(agent(), PLATFORM) == ()


CPU = st.sampled_from(["1", "50m", "3", 2, "0.5"])
BYTES = st.sampled_from(["64Mi", "1Gi", "2G", 1 << 30])
SIDES = st.fixed_dictionaries({}, optional={"cpu": CPU, "memory": BYTES, "example.com/gpu": st.sampled_from(["1", 2])})


@given(requests=SIDES, limits=SIDES)
def test_one_side_alone_is_completed_and_what_the_author_gave_stays(
    requests: dict[str, Any], limits: dict[str, Any]
) -> None:
    own = Resources(requests=requests, limits=limits)
    assume(all(rule.holds(own) for rule in Resources.rules))
    found = agent(spec={"resources": {"agent": {"requests": requests, "limits": limits}}})

    made = resources(found, SETTINGS, "agent")

    assert made["requests"].items() >= requests.items()
    assert made["limits"].items() >= limits.items()
    assert "example.com/gpu" not in made["requests"] or "example.com/gpu" in made["limits"]


@pytest.mark.parametrize(
    "own,requests,limits",
    [
        ({"requests": {"memory": "4Gi"}}, ("100m", "4Gi"), ("1", "4Gi")),
        ({"limits": {"memory": "64Mi"}}, ("100m", "64Mi"), ("1", "64Mi")),
        ({"requests": {"cpu": "500m"}}, ("500m", "256Mi"), ("1", "512Mi")),
        ({"limits": {"cpu": 2}}, ("100m", "256Mi"), (2, "512Mi")),
    ],
)
def test_a_request_never_exceeds_its_limit(own: dict[str, Any], requests: Any, limits: Any) -> None:
    made = resources(agent(spec={"resources": {"agent": own}}), SETTINGS, "agent")

    assert tuple(made["requests"].values()) == requests
    assert tuple(made["limits"].values()) == limits
