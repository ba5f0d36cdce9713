"""The operator in its own Pod: jobs, a crash, its rights; and the walls of an agent's Pod from inside."""

import json

import pytest
from e2e.agents import KINDS, PYTHON_VERSION
from e2e.deployment import NAMESPACE, kill_operator
from e2e.namespace import AGENT_LABEL, Namespace
from e2e.place import Site
from e2e.waiting import eventually

OPERATOR_GROUPS = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"]
RESTRICTED = {"profile": "restricted"}
OPERATOR = f"system:serviceaccount:{NAMESPACE}:agentberth-operator"
INSPECTION = """\
import json, os
from pathlib import Path

status = dict(line.split(":\\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\\t" in line)
writable = {}
for folder in ("/", "/usr", "/shared", "/etc/agentberth", "/tmp", "/workspace"):
    try:
        Path(folder, "probe").write_text("x")
        writable[folder] = True
    except OSError:
        writable[folder] = False
print(json.dumps({
    "status": {name: status[name].split() for name in ("Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
    "flags": {name: status[name] for name in ("NoNewPrivs", "Seccomp")},
    "writable": writable,
    "token": Path("/var/run/secrets/kubernetes.io").exists(),
    "processes": sorted(Path(one, "comm").read_text().strip() for one in Path("/proc").iterdir() if one.name.isdigit()),
}))
"""


@pytest.mark.step2
@pytest.mark.parametrize("code, phase", [("print('done')", "Succeeded"), ("raise SystemExit(3)", "Failed")])
def test_an_agent_that_ends_is_a_job(restricted: Namespace, code: str, phase: str) -> None:
    restricted.config_map("code", {"main.py": code})
    source = {"type": "local", "configMap": "code"}
    agent = restricted.create(
        "errand",
        {"type": "code", "code": {"runtime": "python", "source": source}},
        workload={"kind": "Job", "backoffLimit": 0},
        security=RESTRICTED,
    )

    run = eventually(lambda: agent.status().get("lastRun"), what="the run has ended", explain=agent.explain)

    (job,) = restricted.kubectl.list("jobs", restricted.name, f"{AGENT_LABEL}=errand")
    assert (run["job"], run["result"]) == (job["metadata"]["name"], phase)
    assert agent.wait_phase(phase)["replicas"] == 0
    assert agent.condition("WorkspacePrepared")["status"] == "True"


@pytest.mark.step2
def test_the_walls_of_the_pod_seen_from_inside(restricted: Namespace, site: Site) -> None:
    kind = KINDS[1]
    spec = kind.spec(restricted, site.images, {"files": [{"path": "inspect.py", "content": INSPECTION}]})
    agent = restricted.create("walls", spec, security=RESTRICTED)
    agent.wait_phase("Running")

    seen = json.loads(agent.run("python", "/shared/inspect.py"))

    assert seen["status"]["Uid"] == ["10001"] * 4
    assert seen["status"]["Gid"] == ["10000"] * 4
    assert seen["status"]["Groups"] == ["10000"]
    assert {int(mask, 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb") for mask in seen["status"][name]} == {0}
    assert seen["flags"] == {"NoNewPrivs": "1", "Seccomp": "2"}
    writable = {folder for folder, is_writable in seen["writable"].items() if is_writable}
    assert writable == {"/tmp", "/workspace"}
    assert seen["token"] is False
    assert seen["processes"] == ["python", "python", "sh"]  # the agent, what looks, and the init above the agent


@pytest.mark.step1
@pytest.mark.alone
def test_an_operator_killed_half_way_leaves_the_rest_to_the_next_one(restricted: Namespace, site: Site) -> None:
    image = site.images.python.format(version=PYTHON_VERSION)
    sleeper = {"image": image, "command": ["python", "-c", "import signal; signal.pause()"]}
    agents = [restricted.create(f"sleeper-{number}", sleeper, security=RESTRICTED) for number in range(4)]
    kill_operator(site)
    agents += [restricted.create(f"sleeper-{number}", sleeper, security=RESTRICTED) for number in range(4, 6)]

    for agent in agents:
        agent.wait_phase("Running")

    assert len([agent.pod() for agent in agents]) == 6
    assert len(restricted.kubectl.list("replicasets", restricted.name)) == 6


@pytest.mark.step1
def test_the_operator_may_not_read_secrets_nor_make_itself_stronger(site: Site) -> None:
    assert may_operator(site, "patch", "apps", "deployments")
    for verb, group, resource in (
        *((verb, "", "secrets") for verb in ("get", "list", "watch")),
        ("create", "", "pods"),
        ("create", "", "pods/exec"),
        ("delete", "agents.example.com", "agenttypes"),
        ("update", "rbac.authorization.k8s.io", "clusterroles"),
        ("bind", "rbac.authorization.k8s.io", "clusterroles"),
        ("escalate", "rbac.authorization.k8s.io", "clusterroles"),
        ("impersonate", "", "users"),
    ):
        assert not may_operator(site, verb, group, resource), (verb, resource)


def may_operator(site: Site, verb: str, group: str, resource: str) -> bool:
    """What the API server's authorizer says of the operator's account, in any namespace."""
    name, _, part = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": name, "subresource": part}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": OPERATOR, "groups": OPERATOR_GROUPS, "resourceAttributes": attributes},
    }
    answer = json.loads(site.kubectl.run("create", "-f", "-", "-o", "json", stdin=json.dumps(review)))
    return bool(answer["status"]["allowed"])
