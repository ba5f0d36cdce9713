"""A Pod in a company's cluster: a tainted and labelled node, a runtime of its own, an image behind a password.

And a workspace that outlives it, a token for somebody else and an identity in a cloud.
"""

import base64
import json
from collections.abc import Iterator

import pytest
from e2e.kubectl import Document
from e2e.namespace import Agent, Namespace
from e2e.place import Site, base_archives
from e2e.registry import ImageRegistry
from e2e.waiting import eventually

NODE = "node1"
CODE = """\
import pathlib, signal, sys
kept = pathlib.Path("/workspace/kept")
print(kept.read_text() if kept.exists() else "new", flush=True)
kept.write_text("kept")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.pause()
"""
ROLE = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/agent"}

pytestmark = [pytest.mark.step5, pytest.mark.alone]


@pytest.fixture
def registry(site: Site) -> Iterator[ImageRegistry]:
    """A registry that shows its image to whoever has the password."""
    if not site.own:
        pytest.skip("the image is served to the node of this machine: KUBECONFIG is set")
    (python,) = base_archives("python")
    with ImageRegistry(address=site.host) as running:
        running.offer("private-agent:1", python, ("python", "-c", CODE))
        running.credentials = ("puller", "password-of-the-registry")
        yield running


@pytest.fixture
def node(site: Site) -> Iterator[None]:
    """The node belongs to a pool, and takes no Pods but those that say so; there is a runtime class for it."""
    contained = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "contained"}}
    site.kubectl.apply({**contained, "handler": "runc"})
    site.kubectl.run("label", "node", NODE, "pool=agents", "--overwrite")
    site.kubectl.run("taint", "node", NODE, "pool=agents:NoSchedule", "--overwrite")
    yield
    site.kubectl.run("taint", "node", NODE, "pool=agents:NoSchedule-")
    site.kubectl.run("label", "node", NODE, "pool-")
    site.kubectl.run("delete", "runtimeclass", "contained")


def make(namespace: Namespace) -> Agent:
    """The agent, with nothing yet of what it needs from the cluster."""
    token = {"serviceAccountToken": {"audience": "vault.example.com", "path": "vault"}}
    agent = {
        "type": "container",
        "container": {"image": "private-agent:1", "pullPolicy": "Always"},
        "volumes": [{"name": "vault", "projected": {"sources": [token]}}],
        "volumeMounts": [{"name": "vault", "mountPath": "/var/run/vault", "readOnly": True}],
    }
    return namespace.create(
        "company",
        agent,
        workspace={"persistent": True, "size": "16Mi"},
        pod={
            "nodeSelector": {"pool": "agents"},
            "tolerations": [{"key": "pool", "value": "agents", "effect": "NoSchedule"}],
            "runtimeClassName": "contained",
            "imagePullSecrets": [{"name": "pull"}],
            "serviceAccount": {"annotations": ROLE},
        },
        security={"profile": "restricted"},
    )


def pull_secret(namespace: Namespace, registry: ImageRegistry) -> None:
    """The password, as `kubectl create secret docker-registry` writes it."""
    username, password = registry.credentials or ("", "")
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    entry = {"username": username, "password": password, "auth": auth}
    config = json.dumps({"auths": {"https://index.docker.io/v1/": entry, "docker.io": entry}})
    namespace.kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "pull", "namespace": namespace.name},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()},
        }
    )


@pytest.mark.usefixtures("node")
def test_an_agent_runs_with_what_a_company_asks_of_it(restricted: Namespace, registry: ImageRegistry) -> None:
    pull_secret(restricted, registry)
    agent = make(restricted)
    agent.wait_phase("Running")

    spec = agent.pod()["spec"]
    assert (spec["nodeName"], spec["runtimeClassName"]) == (NODE, "contained")
    assert claims_of(agent.run("cat", "/var/run/vault/vault"))["aud"] == ["vault.example.com"]
    account = restricted.kubectl.find("serviceaccount", "company-agent", restricted.name)
    assert account is not None
    assert account["metadata"]["annotations"].items() >= ROLE.items()
    assert agent.log().strip() == "new"

    restricted.kubectl.run("delete", "pod", agent.pod()["metadata"]["name"], "-n", restricted.name)
    eventually(lambda: said(agent) == "kept", what="the next Pod finds the workspace", explain=agent.explain)
    assert "password-of-the-registry" not in json.dumps(agent.document())


def said(agent: Agent) -> str:
    """What the one Pod that runs has said; empty while there is none."""
    pods = [pod for pod in agent.pods() if "deletionTimestamp" not in pod["metadata"]]
    is_running = len(pods) == 1 and pods[0]["status"]["phase"] == "Running"
    return agent.log().strip() if is_running else ""


def claims_of(token: str) -> Document:
    """What a JSON Web Token says."""
    payload = token.split(".")[1]
    claims: Document = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
