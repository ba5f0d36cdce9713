"""The console of a cluster whose answers are broken, hostile or refused: a stand-in for kubectl gives them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import AGENTBERTH
from .test_console import Console

KUBECTL = """
import http.server, json, os, pathlib, socketserver, sys
folder = pathlib.Path(__file__).parent
answers = json.loads((folder / "answers.json").read_text())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        status, body = answers["watch"] if "watch=1" in query else answers.get(path, [404, "{}"])
        raw = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def address_string(self):
        return "kubectl"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


words = sys.argv[1:]
if "proxy" in words:
    print("x" * 300_000, file=sys.stderr, flush=True)  # more than a pipe holds
    (path,) = (word.partition("=")[2] for word in words if word.startswith("--unix-socket="))
    Server(path, Handler).serve_forever()
elif "get" in words:
    print(json.dumps(answers["approval"]))
else:
    (folder / "patched.json").write_text(words[words.index("--patch") + 1])
"""
ROOT = "/apis/agents.example.com/v1"
NS = "/api/v1/namespaces/agents"
HOSTILE = "<script>\x1b[2J"
AGENT = {
    "metadata": {"name": "pilot", "namespace": "agents", "uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"llm": {"providers": [{"name": "main", "type": "openai"}, {"name": "new", "type": "mock"}]}},
    "status": {
        "phase": "Running",
        "replicas": 2,
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "Unschedulable", "message": HOSTILE},
            {"type": "SecurityPosture", "status": "False", "reason": "Weak", "message": ""},
        ],
        "llmStatus": {
            "answering": "main",
            "providers": {"main": {"inputTokens": 3, "outputTokens": 4, "keys": ["api-key"], "breaker": "open"}},
            "budget": {
                "summary": "7 of 10 tokens per hour",
                "limits": [
                    {"name": "tokensPerHour", "limit": 10, "spent": 7, "resetsAt": "2026-01-01T01:00:00Z"},
                    {"name": "somethingElse", "limit": 1, "spent": 1},
                    {"name": "usdPerDay", "limit": "much", "spent": 1},
                    "nonsense",
                ],
            },
        },
        "toolStatus": {"git": {"state": "blocked", "error": HOSTILE}, "odd": "nonsense"},
    },
}
POD = {
    "metadata": {"name": "pilot-1", "namespace": "agents", "uid": "u1"},
    "spec": {
        "initContainers": [{"name": "llmgateway", "restartPolicy": "Always"}, {"name": "initenv"}],
        "containers": [{"name": "agent"}],
    },
    "status": {
        "initContainerStatuses": [
            {"name": "llmgateway", "ready": True, "restartCount": 2, "state": {"running": {}}},
            {"name": "initenv", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}},
        ],
        "containerStatuses": [{"name": "agent", "state": {"waiting": {"reason": "ImagePullBackOff"}}}],
    },
}
EVENTS = [
    {"metadata": {}, "involvedObject": {"name": "pilot-1"}, "type": "Warning", "reason": "Failed", "message": HOSTILE},
    {"metadata": {}, "involvedObject": {"name": "pilotless"}, "type": "Normal", "reason": "Other"},
]
APPROVAL = {
    "metadata": {"name": "pilot-1", "namespace": "agents", "uid": "u2"},
    "spec": {
        "agent": "pilot",
        "tool": "git",
        "arguments": HOSTILE,
        "hash": "a" * 64,
        "reason": "",
        "request": "1",
        "askedAt": "2026-01-01T00:00:00Z",
        "expiresAt": "2999-01-01T00:00:00Z",
    },
}


def revision(number: str, uid: str, spec: object) -> dict[str, Any]:
    labels = {"agents.example.com/revision": number}
    return {"metadata": {"labels": labels, "ownerReferences": [{"uid": uid}]}, "data": {"spec": spec}}


REVISIONS = (
    revision("1", "u1", AGENT["spec"]),
    revision("2", "u1", {"llm": {"providers": [{"name": "other", "type": "openai"}]}}),
    revision("3", "u0", {}),
    revision("4", "u1", "nonsense"),
    revision("five", "u1", {}),
)
FORBIDDEN = [403, json.dumps({"message": "no such right"})]


def listed(*items: Any) -> list[Any]:
    return [200, json.dumps({"items": items, "metadata": {"resourceVersion": "1"}})]


ANSWERS = {
    "approval": APPROVAL,
    "watch": [200, '{"type": "MODIFIED", "object": \n{"type": "ADDED", "object": []}\n'],
    f"{ROOT}/agenttypes": listed(AGENT),
    f"{ROOT}/toolapprovals": listed(APPROVAL, {**APPROVAL, "status": {"state": "Granted"}}),
    "/apis/apps/v1/namespaces/agents/controllerrevisions": listed(*REVISIONS),
    f"{NS}/pods": listed(POD),
    f"{NS}/events": listed(*EVENTS),
    f"{NS}/pods/pilot-1:9801/proxy/calls": [200, "<html>"],
    f"{NS}/pods/pilot-1/log": FORBIDDEN,
}


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    program = tmp_path / "kubectl"
    program.write_text(f"#!{sys.executable}\n{KUBECTL}")
    program.chmod(0o755)
    (tmp_path / "answers.json").write_text(json.dumps(ANSWERS))
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "NO_COLOR": "1"}
    with subprocess.Popen([*AGENTBERTH, "console"], stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            (address,) = re.findall(r"http://\S+", process.stderr.readline())
            found = Console(address)
            found.enter()
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 128 + signal.SIGTERM


def is_listed(console: Console) -> Any:
    deadline = time.monotonic() + 30
    while console.get("/api/agents")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return console.ask("/api/agents")["agents"]


def test_what_cannot_be_read_is_said_and_the_rest_is_shown(console: Console) -> None:
    (row,) = is_listed(console)
    view = console.ask("/api/agents/agents/pilot")
    calls = console.ask("/api/agents/agents/pilot/calls")
    log = console.ask("/api/agents/agents/pilot/logs?container=agent&pod=pilot-1")

    assert (row["reason"], row["tokens"], row["budget"]) == ("Unschedulable", 7, "7 of 10 tokens per hour")
    assert row["cure"]
    assert [(each["name"], each["role"], each["state"]) for each in view["containers"]] == [
        ("llmgateway", "sidecar", "ready"),
        ("initenv", "init", "failed"),
        ("agent", "agent", "failed"),
    ]
    assert [(each["name"], each["spent"]) for each in view["limits"]] == [("tokensPerHour", 7)]
    assert [each["name"] for each in view["tools"]] == ["git"]
    assert [each["name"] for each in view["providers"]] == ["main"]
    assert [each["reason"] for each in view["events"]] == ["Failed"]
    assert ["llmgateway in pilot-1" in note for note in calls["notes"]].count(True) == 1, calls["notes"]
    assert "no such right" in log["notes"][0]
    assert console.get("/api/agents/agents/pilot/logs?container=agent&pod=other-1")[0] == 404
    assert console.get("/api/agents/agents/nobody")[0] == 404


def test_a_watch_that_breaks_is_said_and_leaves_the_list(console: Console) -> None:
    is_listed(console)
    deadline = time.monotonic() + 30
    while not (found := console.ask("/api/agents"))["notes"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(found["notes"]) == 1
    assert len(found["agents"]) == 1


def test_a_decision_is_for_the_call_that_was_shown(console: Console, tmp_path: Path) -> None:
    is_listed(console)
    waiting, decided = console.ask("/api/approvals")["approvals"]
    assert (waiting["state"], decided["state"]) == ("Waiting", "Granted")
    headers = {"Origin": f"http://{console.host}", "Content_Type": "application/json"}

    def decide(name: str, **changed: str) -> int:
        body = json.dumps({"hash": "a" * 64, "decision": "Deny", "note": "no <b>", **changed}).encode()
        return console.get(f"/api/approvals/agents/{name}", "POST", body, **headers)[0]

    assert decide("pilot-1", hash="b" * 64) == 409
    assert decide("--raw=") == 404
    assert not (tmp_path / "patched.json").exists()
    assert decide("pilot-1") == 200
    patched = json.loads((tmp_path / "patched.json").read_text())
    assert patched == {"metadata": {"uid": "u2"}, "spec": {"decision": "Deny", "note": "no <b>"}}


def test_revisions_of_this_very_agent_are_compared(console: Console) -> None:
    is_listed(console)
    view = console.ask("/api/agents/agents/pilot/revisions")
    assert [(each["number"], each["differs"]) for each in view["revisions"]] == [("2", ["llm.providers"]), ("1", [])]
    assert (view["older"], view["newer"]) == ("2", "present")
    assert [text for sign, text in view["lines"] if sign == "-"] == ["  - name: other"]

    same = console.ask("/api/agents/agents/pilot/revisions?older=1&newer=present")
    assert same["lines"] == []
    assert console.ask("/api/about")["revisions"] is True
