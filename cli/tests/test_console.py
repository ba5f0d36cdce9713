"""The console of a run from outside: who is let in, what is answered, and the report that needs no server."""

import http.client
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from .conftest import AGENTBERTH, Run

Write = Callable[..., Path]
HOSTILE = "</script><img src=x onerror=alert(1)>"
STAY = f"""
import json, os, time, urllib.request
print({HOSTILE!r} + chr(27) + "[2J", flush=True)
body = json.dumps({{"model": "auto", "messages": [{{"role": "user", "content": "hi"}}]}}).encode()
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
key = os.environ["OPENAI_API_KEY"]
headers = {{"content-type": "application/json", "authorization": "Bearer " + key}}
urllib.request.urlopen(urllib.request.Request(url, body, headers)).read()
print("asked", flush=True)
"""
PROVIDERS = """\
  llm:
    providers:
      - {name: first, type: mock, config: {model: grand, replies: [{status: 429, headers: {retry-after: "60"}}]}}
      - {name: second, type: mock, config: {model: steady, replies: [{text: ahoy}]}}
"""


class Console:
    """A client of a console, as a browser is one: with a cookie, once it has the token."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.host, self.token = parts.netloc, parts.query.removeprefix("token=")
        self.cookie = ""

    def get(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.host, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, headers={"Cookie": self.cookie, **named})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def enter(self) -> None:
        status, headers, _ = self.get(f"/?token={self.token}")
        assert status == 303
        self.cookie = headers["set-cookie"].partition(";")[0]

    def ask(self, path: str) -> Any:
        status, _, body = self.get(path)
        assert status == 200, body
        return json.loads(body)


@pytest.fixture
def console(agent: Write, tmp_path: Path) -> Iterator[Console]:
    manifest = agent(STAY, extra=PROVIDERS)
    log = tmp_path / "run.log"
    with (
        log.open("wb") as out,
        subprocess.Popen([*AGENTBERTH, "run", "--console", str(manifest)], stderr=out, stdout=out) as run,
    ):
        try:
            deadline = time.monotonic() + 60
            while "the run is over" not in log.read_text():
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            (address,) = re.findall(r"console: (http://\S+)", log.read_text())
            yield Console(address)
        finally:
            run.send_signal(signal.SIGTERM)
            assert run.wait(30) == 128 + signal.SIGTERM, log.read_text()


def test_only_the_token_of_this_start_lets_in(console: Console) -> None:
    assert console.host.startswith("127.0.0.1:")
    assert console.get("/")[0] == 401
    assert console.get("/api/agents")[0] == 401
    assert console.get(f"/api/agents?token={console.token}")[0] == 401
    assert console.get("/?token=wrong")[0] == 401
    console.enter()

    status, headers, page = console.get("/")

    assert status == 200
    assert b"/page/app.js" in page
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert console.get("/", Host="evil.example.com")[0] == 421
    assert console.get("/", Host=f"127.0.0.1.evil.example.com:{console.host.partition(':')[2]}")[0] == 421
    assert console.get("/api/agents", Origin="http://evil.example.com")[0] == 403
    assert console.get("/api/agents", Origin=f"http://{console.host}")[0] == 200
    assert console.get("/api/agents", "POST")[0] == 405
    for path in ("/page/../server.py", "/page/%2e%2e%2fserver.py", "/page/none.js", "/api/agents/default/other"):
        assert console.get(path)[0] == 404, path


def test_a_decision_is_taken_from_the_consoles_own_page_alone(console: Console) -> None:
    path, own = "/api/approvals/default/0123456789abcdef", {"Origin": f"http://{console.host}"}
    typed = {**own, "Content_Type": "application/json"}
    body = json.dumps({"hash": "0" * 64, "decision": "Approve"}).encode()
    assert console.get(path, "POST", body, **typed)[0] == 401
    console.enter()

    assert console.get(path, "POST", body, Content_Type="application/json")[0] == 403
    assert console.get(path, "POST", body, **own, Content_Type="text/plain")[0] == 403
    assert console.get(path, "POST", body, Origin="http://evil.example.com", Content_Type="application/json")[0] == 403
    assert console.get(path, "PUT", body, **typed)[0] == 405
    for wrong in (b"", b"[]", b"{", body.replace(b"Approve", b"Yes"), body.replace(b"{", b'{"x": 1, ')):
        assert console.get(path, "POST", wrong, **typed)[0] == 400, wrong
    assert console.get(path, "POST", b" " * 100_000, **typed)[0] == 413
    status, _, answer = console.get(path, "POST", body, **typed)
    assert (status, json.loads(answer)) == (409, {"error": "no rule of this agent asks for approval"})
    assert console.ask("/api/approvals")["approvals"] == []


def test_the_run_is_there_with_its_calls_and_logs(console: Console) -> None:
    console.enter()

    (row,) = console.ask("/api/agents")["agents"]
    view = console.ask("/api/agents/default/tester")
    (call,) = console.ask("/api/agents/default/tester/calls")["calls"]
    log = console.ask("/api/agents/default/tester/logs?container=agent&pod=")

    assert (row["name"], row["phase"], row["tokens"]) == ("tester", "Succeeded", 20)
    assert [(each["name"], each["state"]) for each in view["containers"]] == [
        ("llmgateway", "ended"),
        ("initenv", "ended"),
        ("agent", "ended"),
    ]
    assert [each["name"] for each in view["providers"]] == ["first", "second"]
    assert [each["outcome"] for each in call["tries"]] == ["rate_limited", "answered"]
    assert log["lines"] == [f"{HOSTILE}\x1b[2J", "asked"]


def test_a_report_is_one_page_in_which_nothing_of_the_agent_is_markup(
    agentberth: Run, agent: Write, tmp_path: Path
) -> None:
    done = agentberth("run", str(agent(STAY, extra=PROVIDERS)), "--report", "out/report.html")

    page = (tmp_path / "out" / "report.html").read_text()
    assert done.returncode == 0, done.stderr
    assert "report: out/report.html" in done.stderr
    assert HOSTILE not in page
    assert page.count("<script") == 1
    assert "rate_limited" in page


def test_what_is_no_pod_has_no_console_in_a_cluster(agentberth: Run) -> None:
    done = agentberth("console", "--in-cluster")
    assert done.returncode == 1
    assert "this is not a Pod: KUBERNETES_SERVICE_HOST is not set" in done.stderr
    done = agentberth("console", "--in-cluster", environment={"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert done.returncode == 1
    assert "the service account cannot be read" in done.stderr
    assert agentberth("console", "--in-cluster", "--context", "kind").returncode == 2
