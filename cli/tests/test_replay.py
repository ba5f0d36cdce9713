"""`agentberth run --record` and `--replay` from outside: the same bytes for the agent, no secret in the file."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from .conftest import Run

Write = Callable[..., Path]
CANARY = "canary-7f3a91c0"

ASK = """
import base64, json, os, sys, urllib.error, urllib.request
base = os.environ["LLM_GATEWAY_URL"]
stream, words = {"stream": True}, [{"role": "user", "content": os.environ.get("QUESTION", "hello")}]
tools = [{"type": "function", "function": {"name": "weigh", "parameters": {"type": "object", "properties": {}}}}]
asks = [
    ("/v1/chat/completions", {"model": "auto", "messages": words}),
    ("/v1/chat/completions", {"model": "auto", "messages": words, **stream}),
    ("/v1/chat/completions", {"model": "auto", "messages": words, "tools": tools, **stream}),
    ("/v1/messages", {"model": "auto", "max_tokens": 9, "messages": words}),
    ("/v1/messages", {"model": "auto", "max_tokens": 9, "messages": words, **stream}),
    ("/v1/responses", {"model": "auto", "input": "hello"}),
    ("/v1/responses", {"model": "auto", "input": "hello", **stream}),
    ("/v1/chat/completions", {"model": "no-such-model", "messages": words}),
    ("/v1/chat/completions", {"messages": "nonsense"}),
    ("/v1/models", None),
]
for path, body in asks:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            status, kind, raw = answer.status, answer.headers["content-type"], answer.read()
    except urllib.error.HTTPError as error:
        status, kind, raw = error.code, error.headers["content-type"], error.read()
    print(path, status, kind, base64.b64encode(raw).decode())
"""
PROVIDERS = """\
  llm:
    providers:
      - {name: first, type: mock, config: {model: grand, replies: [{status: 529}, {text: "Höchste Zeit"}]}}
      - {name: second, type: mock, config: {model: steady, replies: [{text: "ahoy ⚓"}]}}
"""
TOOLS = "  tools: {required: [git]}\n"
USE_TOOL = """
import json, os, urllib.request
body = json.dumps({"arguments": {"args": ["hash-object", "--stdin"], "stdin": "x"}}).encode()
url = os.environ["TOOL_PROXY_URL"] + "/v1/tools/git:run"
request = urllib.request.Request(url, body, {"content-type": "application/json"})
print(json.load(urllib.request.urlopen(request))["structuredContent"]["stdout"].strip())
"""


def test_the_agent_is_told_the_same_bytes_in_every_dialect(agentberth: Run, agent: Write) -> None:
    manifest = str(agent(ASK, extra=PROVIDERS))

    first = agentberth("run", "-q", manifest, "--record", "a.jsonl")
    again = agentberth("run", "-q", manifest, "--replay", "a.jsonl")
    timed = agentberth("run", "-q", manifest, "--replay", "a.jsonl", "--timing")

    assert first.returncode == 0, first.stderr
    assert again.returncode == 0, again.stderr
    assert first.stdout.count("text/event-stream") == 4
    assert again.stdout == first.stdout
    assert timed.stdout == first.stdout


def test_a_replay_starts_no_sidecar_and_needs_no_key(agentberth: Run, agent: Write, tmp_path: Path) -> None:
    real = PROVIDERS.replace("type: mock", "type: openai, credentialsSecret: keys")
    manifest = str(agent(ASK, extra=PROVIDERS))
    first = agentberth("run", "-q", manifest, "--record", "a.jsonl")
    manifest = str(agent(ASK, extra=re.sub(r", replies: \[.*?\]}", "}", real)))

    again = agentberth("run", manifest, "--replay", "a.jsonl")

    assert again.returncode == 0, again.stderr
    assert re.sub(r"(?m)^agent +\| ", "", again.stdout) == first.stdout
    assert "llmgateway" not in again.stderr


def test_another_question_is_a_miss_that_ends_the_run(agentberth: Run, agent: Write) -> None:
    agentberth("run", "-q", str(agent(ASK, extra=PROVIDERS)), "--record", "a.jsonl")

    done = agentberth(
        "run", "-q", str(agent(ASK.replace('"hello")', '"farewell")'), extra=PROVIDERS)), "--replay", "a.jsonl"
    )

    assert done.returncode == 1
    assert "a.jsonl: POST /v1/chat/completions of the model auto: was not recorded" in done.stderr
    assert re.search(r'(?m)^- +"content": "hello"', done.stderr)
    assert re.search(r'(?m)^\+ +"content": "farewell"', done.stderr)
    assert "try: correct the agent" in done.stderr
    assert "Traceback" not in done.stderr.partition("error: a.jsonl")[2]


def test_no_secret_of_the_manifests_is_in_the_cassette(agentberth: Run, agent: Write, tmp_path: Path) -> None:
    extra = (
        "    environment:\n      variables:\n"
        "        - {name: QUESTION, valueFrom: {secretKeyRef: {name: keys, key: token}}}\n"
        + PROVIDERS.replace("ahoy ⚓", f"the key is {CANARY}")
    )
    objects = f"---\nkind: Secret\nmetadata: {{name: keys}}\nstringData: {{token: {CANARY}}}\n"
    manifest = str(agent(ASK, extra=extra, objects=objects))

    first = agentberth("run", "-q", manifest, "--record", "a.jsonl")
    again = agentberth("run", "-q", manifest, "--replay", "a.jsonl")

    assert first.returncode == 0, first.stderr
    assert CANARY not in (tmp_path / "a.jsonl").read_text()
    assert '"masked":true' in (tmp_path / "a.jsonl").read_text()
    assert again.returncode == 0, again.stderr


def test_one_side_can_stay_real(agentberth: Run, agent: Write, tmp_path: Path) -> None:
    manifest = str(agent(USE_TOOL, extra=TOOLS))
    (tmp_path / "a.jsonl").write_text('{"cassette":1,"agent":"tester"}\n')

    real = agentberth("run", "-q", manifest, "--replay", "a.jsonl", "--live", "tools")
    played = agentberth("run", "-q", manifest, "--replay", "a.jsonl")

    assert len(real.stdout.strip()) == 40
    assert played.returncode == 1
    assert "tool git: the cassette has no recording of tools" in played.stderr


def test_a_cassette_of_another_agent_is_refused(agentberth: Run, agent: Write, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"cassette":1,"agent":"other"}\n')

    done = agentberth("run", str(agent("print()")), "--replay", "a.jsonl")

    assert done.returncode == 1
    assert "was recorded for the agent other, not for tester" in done.stderr


def test_options_of_a_replay_need_one(agentberth: Run, agent: Write) -> None:
    done = agentberth("run", str(agent("print()")), "--live", "tools")

    assert done.returncode == 2
    assert "--live and --timing go with --replay" in done.stderr


def test_a_clean_run_gives_the_workspace_back(agentberth: Run, agent: Write, tmp_path: Path) -> None:
    look = "import os; w = os.environ['AGENT_WORKSPACE']; print(sorted(os.listdir(w))); open(w + '/made', 'w')"
    manifest = str(agent(look))
    (tmp_path / "given" / "inbox").mkdir(parents=True)
    agentberth("run", "-q", manifest)

    assert agentberth("run", "-q", "--clean", manifest).stdout == "[]\n"
    assert agentberth("run", "-q", "--workspace", "given", manifest).stdout == "['inbox']\n"
    assert agentberth("run", "-q", manifest).stdout == "['made']\n"
    assert list((tmp_path / "given").iterdir()) == [tmp_path / "given" / "inbox"]


def test_what_a_killed_clean_run_left_aside_comes_back(agentberth: Run, agent: Write, tmp_path: Path) -> None:
    manifest = str(agent("import os; print(sorted(os.listdir(os.environ['AGENT_WORKSPACE'])))"))
    root = tmp_path / ".agentberth" / "tester"
    (root / "set-aside" / "workspace" / "kept").mkdir(parents=True)
    (root / "workspace").mkdir()

    assert agentberth("run", "-q", manifest).stdout == "['kept']\n"


CASE = "expect: {output: {equals: ahoy}, tools: [git], tokens: {atMost: 0}}\n"


def test_a_case_fails_with_every_deviation_and_junit_has_them(agentberth: Run, agent: Write, tmp_path: Path) -> None:
    agent("print('farewell\\x1b[31m\\x00')")
    (tmp_path / "said.agenttest.yaml").write_text(CASE)
    (tmp_path / "said.cassette.jsonl").write_text(
        '{"cassette":1,"agent":"tester"}\n'
        + json.dumps({"side": "tools", "request": {"method": "POST", "path": "/v1/tools/git:run"}, "response": {}})
    )

    done = agentberth("test", ".", "--junit", "report.xml")

    assert done.returncode == 1
    assert "FAILED said.agenttest.yaml" in done.stdout
    assert "-ahoy" in done.stdout
    assert "tools, in order:" in done.stdout
    assert "recorded, and not asked for: tool git" in done.stdout
    assert "1 case, 1 failed" in done.stdout
    assert 'failures="1"' in (tmp_path / "report.xml").read_text()


def test_a_folder_without_cases_is_an_error(agentberth: Run, tmp_path: Path) -> None:
    done = agentberth("test", ".")

    assert done.returncode == 1
    assert "there are no *.agenttest.yaml files in this folder" in done.stderr


def test_a_cassette_that_is_not_there_is_one_error_and_leaves_no_port_taken(agentberth: Run, agent: Write) -> None:
    watched = {"PYTHONWARNINGS": "always::ResourceWarning"}
    done = agentberth("run", str(agent("")), "--replay", "absent.jsonl", environment=watched)
    assert done.returncode == 1
    assert "absent.jsonl" in done.stderr
    assert "ResourceWarning" not in done.stderr
