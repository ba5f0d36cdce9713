"""Approval of a call in a real Pod: a person decides while Pod and operator are replaced, and the call runs once."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from e2e.deployment import kill_operator
from e2e.kubectl import Document, KubectlError
from e2e.namespace import Agent, Namespace
from e2e.place import Site
from e2e.sidecars import RESTRICTED, python_agent, refresh
from e2e.waiting import eventually

pytestmark = [pytest.mark.step3, pytest.mark.alone]

CALL = """\
import json, os, sys, urllib.error, urllib.request
body = json.dumps({"arguments": {"args": [sys.argv[1]]}}).encode()
url = os.environ["TOOL_PROXY_URL"] + "/v1/tools/curl:run"
request = urllib.request.Request(url, body, {"content-type": "application/json"})
try:
    with urllib.request.urlopen(request, timeout=60) as answer:
        print(json.dumps([answer.status, json.load(answer)]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, json.load(error)]))
"""


class Deliveries(Counter[str]):
    """How often each path of a server was asked for; `url` is the server's."""

    url = ""


@pytest.fixture
def deliveries(site: Site) -> Iterator[Deliveries]:
    counted = Deliveries()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            counted[self.path] += 1
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer((site.host, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        counted.url = f"http://{site.host}:{server.server_port}"
        yield counted
        server.shutdown()


@pytest.fixture
def agent(restricted: Namespace, site: Site) -> Agent:
    """One that has curl, and has to ask before it sends anything."""
    policy = {
        "rules": [{"tools": ["curl"], "action": "ask", "reason": "what is sent is reviewed"}],
        "approvals": {"waitSeconds": 0},
    }
    security = {**RESTRICTED, "networkPolicy": {"egress": {"allowedCIDRs": [f"{site.host}/32"]}}}
    tools = {"required": ["curl"], "policy": policy}
    made = restricted.create("courier", python_agent(site), tools=tools, security=security)
    made.wait_phase("Running")
    return made


def bind(namespace: Namespace, role: str, user: str) -> None:
    place = ("-n", namespace.name, f"--clusterrole={role}", f"--user={user}")
    namespace.kubectl.run("create", "rolebinding", user, *place)


def call(agent: Agent, url: str) -> tuple[int, Document]:
    """The answer to a call, which is made again while the Pod is not up."""

    def look() -> tuple[int, Document] | None:
        try:
            status, answer = json.loads(agent.run("python", "-c", CALL, url))
        except (KubectlError, AssertionError):
            return None
        return status, answer

    return eventually(look, what="the tool is called", explain=agent.explain, timeout_s=180)


def waits(agent: Agent, url: str) -> bool:
    status, answer = call(agent, url)
    return (status, answer.get("error", {}).get("code")) == (409, "approval_pending")


def asked(agent: Agent, url: str) -> str:
    """The name of the object about that call, once it is there."""
    namespace = agent.namespace

    def look() -> str | None:
        found = [each for each in namespace.kubectl.list("toolapprovals", namespace.name) if url in str(each["spec"])]
        return found[0]["metadata"]["name"] if found else None

    return eventually(look, what=f"a ToolApproval for {url}", explain=agent.explain, timeout_s=120)


def approve(agent: Agent, name: str, user: str) -> None:
    place = ("toolapproval", name, "-n", agent.namespace.name, f"--as={user}", "--type=merge")
    agent.namespace.kubectl.run("patch", *place, "-p", json.dumps({"spec": {"decision": "Approve"}}))


def replace_pod(agent: Agent) -> None:
    before = agent.pod()["metadata"]["name"]
    agent.namespace.kubectl.run("delete", "pod", before, "-n", agent.namespace.name, "--wait=false")

    def look() -> bool:
        living = [pod["metadata"]["name"] for pod in agent.pods() if "deletionTimestamp" not in pod["metadata"]]
        return len(living) == 1 and before not in living

    eventually(look, what="another Pod is there", explain=agent.explain)


def wait_carried_out(agent: Agent, url: str) -> None:
    """Returns once the call, made again and again, is carried out; the kubelet is hurried meanwhile."""

    def look() -> bool:
        try:
            refresh(agent)
        except (KubectlError, AssertionError):
            return False
        status, answer = call(agent, url)
        assert status != 403, answer
        return status == 200  # not ready yet, or not told yet what was decided

    eventually(look, what="the call is carried out", explain=agent.explain, timeout_s=240)


def test_an_approved_call_runs_once_though_pod_and_operator_are_replaced(
    agent: Agent, deliveries: Deliveries, site: Site
) -> None:
    bind(agent.namespace, "edit", "author")
    bind(agent.namespace, "agentberth-approve", "reviewer")
    first, other = f"{deliveries.url}/first", f"{deliveries.url}/other"
    assert waits(agent, first)
    name = asked(agent, first)
    with pytest.raises(KubectlError, match="forbidden"):
        approve(agent, name, "author")

    kill_operator(site)
    replace_pod(agent)
    approve(agent, name, "reviewer")

    wait_carried_out(agent, first)
    assert waits(agent, first), "the approval is used up"
    assert waits(agent, other), "other arguments are another call"
    assert deliveries == {"/first": 1}
