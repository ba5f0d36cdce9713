"""The REST API and the runner, over the process."""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.toolproxy.toolproxy_harness import ToolProxy, descendants

from agent_api.calls import CallsReport, ToolCall
from agent_api.toolsreport import ToolsReport

PROBE = """#!/usr/bin/env python3
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "stdin": sys.stdin.read()}))
"""
METACHARACTERS = [
    "$(touch pwned)",
    "`id`",
    "; rm -rf /",
    "&& true",
    "| cat",
    "> out",
    "*",
    "?",
    "~",
    "$HOME",
    "'",
    '"',
    "\\",
    "\n",
    "\t",
    "-- ",
    "!!",
    "#",
    "%s",
    "{a,b}",
    "é✓",
    "",
    " ",
]


def tool(name: str, **custom: Any) -> dict[str, Any]:
    return {"name": name, "custom": {"name": name, "source": f"path:{name}", **custom}}


@pytest.fixture(scope="module")
def probing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToolProxy]:
    """One for all tests that only call it."""
    shared = ToolProxy(tmp_path_factory.mktemp("shared"))
    yield _prepare(shared)
    shared.close()


@pytest.fixture
def fresh(proxy: ToolProxy) -> ToolProxy:
    return _prepare(proxy)


def _prepare(proxy: ToolProxy) -> ToolProxy:
    proxy.add_program("probe", PROBE)
    proxy.write_config(tools=[tool("probe"), {"name": "sh"}, {"name": "git"}])
    return proxy.start()


def structured(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["structuredContent"]


def test_lists_each_tool_with_its_state_source_and_schema(probing: ToolProxy) -> None:
    tools = {each["name"]: each for each in httpx.get(f"{probing.url}/v1/tools").json()["tools"]}
    assert set(tools) == {"git", "probe", "sh"}
    assert tools["probe"]["state"] == "ready"
    assert tools["probe"]["kind"] == "command"
    assert tools["probe"]["source"] == f"path: {probing.programs}/probe"
    assert "args" in tools["probe"]["inputSchema"]["properties"]


def test_every_argument_reaches_the_program_as_it_is(probing: ToolProxy) -> None:
    result = structured(probing.run("probe", {"args": METACHARACTERS}))
    assert json.loads(result["stdout"])["argv"] == METACHARACTERS
    assert not (probing.workspace / "pwned").exists()


def test_metacharacters_are_nothing_special_to_git_either(probing: ToolProxy) -> None:
    for text in METACHARACTERS:
        assert structured(probing.run("git", {"args": ["rev-parse", "--sq-quote", text]}))["exitCode"] == 0


def test_the_environment_is_the_programs_own(probing: ToolProxy) -> None:
    environment = json.loads(structured(probing.run("probe"))["stdout"])["env"]
    assert "CANARY_OF_THE_PROXY" not in environment
    assert environment["AGENT_WORKSPACE"] == str(probing.workspace)
    assert not Path(environment["HOME"]).exists()


def test_runs_in_the_workspace_and_in_folders_below_it_alone(probing: ToolProxy, tmp_path: Path) -> None:
    (probing.workspace / "src").mkdir()
    (probing.workspace / "out").symlink_to(tmp_path)
    seen = json.loads(structured(probing.run("probe", {"cwd": "src", "stdin": "text"}))["stdout"])
    assert (seen["cwd"], seen["stdin"]) == (str(probing.workspace / "src"), "text")
    for outside in ("..", "/etc", "out", "src/../..", "missing", "a\0b"):
        answer = probing.run("probe", {"cwd": outside})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_arguments")


@pytest.mark.parametrize(
    "arguments",
    [{"args": "text"}, {"args": [1]}, {"argv": []}, {"args": ["a\0b"]}, {"args": ["x" * 130_000]}, {"stdin": 1}],
)
def test_arguments_that_do_not_fit_are_refused(probing: ToolProxy, arguments: dict[str, Any]) -> None:
    answer = probing.run("probe", arguments)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_arguments")


def test_exit_codes_and_stderr_are_reported(probing: ToolProxy) -> None:
    answer = probing.run("sh", {"args": ["-c", "echo out; echo err >&2; exit 3"]}).json()
    assert answer["isError"] is True
    assert answer["structuredContent"] == {
        "exitCode": 3,
        "stdout": "out\n",
        "stderr": "err\n",
        "truncated": [],
        "ended": "exit",
    }
    assert answer["content"][0]["text"] == "out\nerr\n[exit code 3]"


def test_a_program_killed_by_a_signal_says_so(probing: ToolProxy) -> None:
    result = probing.run("sh", {"args": ["-c", "kill -SEGV $$"]}).json()
    assert result["structuredContent"]["signal"] == signal.SIGSEGV
    assert result["structuredContent"]["exitCode"] is None


def test_the_same_call_over_mcp_gives_the_same_result(probing: ToolProxy) -> None:
    for script in ("echo same", "exit 4"):
        arguments = {"args": ["-c", script]}
        over_mcp = probing.call("sh", arguments)
        del over_mcp["_meta"], over_mcp["resultType"]
        assert over_mcp == probing.run("sh", arguments).json()


def test_output_is_streamed_while_the_program_runs(probing: ToolProxy) -> None:
    script = "echo first; read -r line < go; echo second"
    go = probing.workspace / "go"
    os.mkfifo(go)
    url = f"{probing.url}/v1/tools/sh:run"
    events: list[tuple[str, Any]] = []
    with httpx.stream(
        "POST", url, json={"arguments": {"args": ["-c", script]}}, headers={"Accept": "text/event-stream"}, timeout=30
    ) as answer:
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                events.append((name, json.loads(line.removeprefix("data: "))))
                if len(events) == 1:
                    go.write_text("\n")
    assert events[0] == ("output", {"stream": "stdout", "text": "first\n"})
    assert events[-1][0] == "result"
    assert events[-1][1]["structuredContent"]["stdout"] == "first\nsecond\n"


def test_a_call_that_takes_too_long_is_ended_with_all_it_started(probing: ToolProxy) -> None:
    script = "trap '' TERM; setsid sleep 7777 & sleep 7777"
    answer = probing.run("sh", {"args": ["-c", script]}, timeoutSeconds=0.5)
    assert structured(answer)["ended"] == "timeout"
    assert "longer than 0.5 s" in answer.json()["content"][0]["text"]
    assert not descendants(probing.pid)
    assert not probing.sleepers()


def test_a_daemon_does_not_outlive_its_call(probing: ToolProxy) -> None:
    script = "(setsid sh -c 'setsid sleep 6666 & setsid sleep 6666 &' &) ; exit 0"
    assert structured(probing.run("sh", {"args": ["-c", script]}))["exitCode"] == 0
    assert not probing.sleepers()


def test_a_fork_bomb_is_contained(fresh: ToolProxy) -> None:
    fresh.reload(tools=[{"name": "sh"}], limits={"processes": 20, "timeoutSeconds": 20})
    script = "while :; do sleep 30 & done"
    if os.environ.get("AGENTBERTH_WHOLE"):  # takes all processes of a machine that lends its root no limit
        script = "bomb() { bomb | bomb & }; bomb; sleep 30"
    result = structured(fresh.run("sh", {"args": ["-c", script]}))
    assert result["ended"] == "processes"
    assert not descendants(fresh.pid)
    assert structured(fresh.run("sh", {"args": ["-c", "echo fine"]}))["stdout"] == "fine\n"


def test_endless_output_is_cut_and_ended(fresh: ToolProxy) -> None:
    fresh.reload(tools=[{"name": "sh"}], limits={"outputBytes": 2048})
    answer = fresh.run("sh", {"args": ["-c", "yes | head -c 10000000000"]})
    result = structured(answer)
    assert (result["ended"], result["truncated"], len(result["stdout"])) == ("output", ["stdout"], 2048)
    assert "[stdout was cut at 2048 bytes]" in answer.json()["content"][0]["text"]
    result = structured(fresh.run("sh", {"args": ["-c", "yes | head -c 5000"]}))
    assert (result["ended"], result["truncated"], result["exitCode"]) == ("exit", ["stdout"], 0)


def test_memory_is_bounded(fresh: ToolProxy) -> None:
    proxy = fresh
    proxy.write_config(tools=[{"name": "python3"}], limits={"memoryBytes": 64 << 20})
    proxy.wait_for_state("python3", "ready")
    result = structured(proxy.run("python3", {"args": ["-c", "x = b'1' * (200 << 20)"]}))
    assert result["exitCode"] == 1
    assert "MemoryError" in result["stderr"]


def test_a_client_that_goes_away_ends_its_call(probing: ToolProxy) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{probing.url}/v1/tools/sh:run", json={"arguments": {"args": ["-c", "sleep 5555"]}}, timeout=0.7)
    probing.wait_for(lambda: not probing.sleepers())


def test_calls_wait_for_a_place_and_are_refused_when_there_is_none(fresh: ToolProxy) -> None:
    fresh.reload(tools=[{"name": "sh"}], limits={"concurrency": 1, "timeoutSeconds": 30})
    os.mkfifo(fresh.workspace / "go")
    blocked = threading.Thread(target=fresh.run, args=("sh", {"args": ["-c", "touch here; read -r line < go"]}))
    blocked.start()
    fresh.wait_for((fresh.workspace / "here").exists)
    answer = fresh.run("sh", {"args": ["-c", "true"]}, timeoutSeconds=0.3)
    (fresh.workspace / "go").write_text("\n")
    blocked.join()
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "tool_busy")
    assert structured(fresh.run("sh", {"args": ["-c", "true"]}))["exitCode"] == 0


def test_killing_the_proxy_leaves_no_tool_behind(fresh: ToolProxy) -> None:
    caller = threading.Thread(target=_ignore_errors, args=(fresh, "trap '' TERM; setsid sleep 4444 & sleep 4444"))
    caller.start()
    fresh.wait_for(lambda: len(fresh.sleepers()) >= 2)
    fresh.kill()
    caller.join()
    deadline = time.monotonic() + 15
    while fresh.sleepers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not fresh.sleepers()


def _ignore_errors(proxy: ToolProxy, script: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        proxy.run("sh", {"args": ["-c", script]})


def test_processes_and_descriptors_stay_constant(probing: ToolProxy) -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{probing.pid}/fd").iterdir()))

    for _ in range(20):
        probing.run("sh", {"args": ["-c", "true"]})
    before = descriptors()
    with httpx.Client() as client:
        for _ in range(60):
            client.post(f"{probing.url}/v1/tools/sh:run", json={"arguments": {"args": ["-c", "true"]}})
    assert descriptors() <= before + 4
    assert not descendants(probing.pid)


def test_arguments_follow_the_template_of_the_definition(proxy: ToolProxy) -> None:
    proxy.add_program("probe", PROBE)
    schema = {
        "type": "object",
        "properties": {
            "pattern": {"type": "string"},
            "paths": {"type": "array", "items": {"type": "string"}},
            "ignore_case": {"type": "boolean"},
            "limit": {"type": "integer"},
        },
        "required": ["pattern"],
        "additionalProperties": False,
    }
    argv = [
        "search",
        {"property": "ignore_case", "flag": "-i"},
        {"property": "limit", "flag": "--max=", "joined": True},
        {"property": "pattern"},
        "--",
        {"property": "paths"},
    ]
    proxy.write_config(
        tools=[
            tool("probe", inputSchema=schema, argv=argv),
        ]
    )
    proxy.start()
    full = {"pattern": "a b", "paths": ["-x", "y"], "ignore_case": True, "limit": 3}
    assert json.loads(structured(proxy.run("probe", full))["stdout"])["argv"] == [
        "search",
        "-i",
        "--max=3",
        "a b",
        "--",
        "-x",
        "y",
    ]
    assert json.loads(structured(proxy.run("probe", {"pattern": "p", "ignore_case": False}))["stdout"])["argv"] == [
        "search",
        "p",
        "--",
    ]
    refused = proxy.run("probe", {"pattern": "--output=/etc/passwd"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_arguments")


def test_output_of_a_declared_schema_is_structured(proxy: ToolProxy) -> None:
    proxy.add_program("answer", "#!/bin/sh\ncat\n")
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    proxy.write_config(tools=[tool("answer", outputSchema=schema)])
    proxy.start()
    assert proxy.run("answer", {"stdin": '{"n": 1}'}).json()["structuredContent"] == {"n": 1}
    assert proxy.run("answer", {"stdin": '{"n": "x"}'}).json()["isError"] is True
    assert "did not print JSON" in proxy.run("answer", {"stdin": "hello"}).json()["content"][0]["text"]


def test_credentials_are_given_to_the_program_and_to_nobody_else(proxy: ToolProxy) -> None:
    proxy.add_program("keep", '#!/bin/sh\nprintf %s "$API_KEY" > kept\necho "$API_KEY" "$@"\n')
    proxy.write_credential("keep-secret", "key", "canary-1234567890")
    planned = tool("keep", credentialEnvironment={"API_KEY": "key"}) | {"credentials": "keep-secret"}
    proxy.write_config(tools=[planned])
    proxy.start()
    for value in ("canary-1234567890", "canary-rotated-1"):
        proxy.write_credential("keep-secret", "key", value)
        assert structured(proxy.run("keep", {"args": [value]}))["stdout"] == "*** ***\n"
        assert (proxy.workspace / "kept").read_text() == value
    assert "canary-" not in proxy.log.read_text()
    assert "canary-" not in json.dumps(proxy.report())


def test_every_call_leaves_an_audit_line_and_a_metric(fresh: ToolProxy) -> None:
    fresh.run("sh", {"args": ["-c", "true # password=hunter2hunter2"]})
    fresh.call("sh", {"args": ["-c", "exit 1"]})
    fresh.run("sh", {"args": 1})
    fresh.wait_for(lambda: sum(line["logger"] == "agent_toolproxy.tools.audit" for line in fresh.log_lines()) == 3)
    lines = [line for line in fresh.log_lines() if line["logger"] == "agent_toolproxy.tools.audit"]
    assert [(line["tool"], line["via"], line["outcome"]) for line in lines] == [
        ("sh", "rest", "ok"),
        ("sh", "mcp", "error"),
        ("sh", "rest", "invalid_arguments"),
    ]
    assert "hunter2hunter2" not in fresh.log.read_text()
    assert 'agentberth_tool_calls_total{outcome="ok",tool="sh"} 1.0' in fresh.metrics()


def test_every_call_is_recorded_also_what_is_refused(fresh: ToolProxy) -> None:
    fresh.run("sh", {"args": ["-c", "echo password=hunter2hunter2"]})
    fresh.call("sh", {"args": ["-c", "exit 1"]})
    httpx.post(f"{fresh.url}/v1/tools/absent:run", json={"arguments": {}})

    report = CallsReport.model_validate_json(httpx.get(f"{fresh.ops_url}/calls").content)

    calls = [call for call in report.calls if isinstance(call, ToolCall)]
    assert [(call.name[:6], call.via, call.decision, call.outcome) for call in calls] == [
        ("sh", "rest", "allowed", "ok"),
        ("sh", "mcp", "allowed", "error"),
        ("absent", "rest", "denied", "unknown_tool"),
    ]
    assert calls[0].result_bytes > calls[0].arguments_bytes > 0
    assert calls[0].input == calls[0].output == ""
    assert httpx.get(f"{fresh.ops_url}/calls", params={"after": calls[-1].number}).json()["calls"] == []


def test_the_report_is_of_the_contract_and_readiness_follows_required_tools(proxy: ToolProxy) -> None:
    proxy.write_config(tools=[{"name": "git"}, {"name": "absent-tool"}, {"name": "other-absent", "required": False}])
    proxy.launch()
    proxy.wait_for_state("absent-tool", "failed")
    answer = httpx.get(f"{proxy.ops_url}/readyz")
    assert answer.status_code == 503
    assert "absent-tool is failed" in answer.text
    assert "other-absent" not in answer.text
    report = ToolsReport.model_validate(proxy.report())
    assert not report.ready
    assert {each.name: each.state for each in report.tools} == {
        "git": "ready",
        "absent-tool": "failed",
        "other-absent": "failed",
    }
    assert "not in the platform's catalogue" in report.tools[1].error


def test_a_new_configuration_is_applied_while_calls_go_on(fresh: ToolProxy) -> None:
    os.mkfifo(fresh.workspace / "go")
    results: list[httpx.Response] = []
    script = "touch here; read -r line < go; echo done"
    caller = threading.Thread(target=lambda: results.append(fresh.run("sh", {"args": ["-c", script]})))
    caller.start()
    fresh.wait_for((fresh.workspace / "here").exists)
    fresh.write_config(tools=[{"name": "git"}])
    fresh.wait_for(lambda: fresh.tool_names() == ["git"])
    (fresh.workspace / "go").write_text("\n")
    caller.join()
    assert structured(results[0])["stdout"] == "done\n"
    assert fresh.run("sh").status_code == 404


def test_a_bad_configuration_changes_nothing_and_is_reported(fresh: ToolProxy) -> None:
    fresh.write_config(tools=[{"name": "git"}], policy={"allowedNetworks": ["not a network"]})
    fresh.wait_for(lambda: fresh.report()["configError"])
    assert "sh" in fresh.tool_names()
    fresh.write_config(tools=[{"name": "git"}], unknown=True)
    fresh.wait_for(lambda: "unknown" in fresh.report()["configError"])


def test_allow_and_deny_lists_decide_by_name(proxy: ToolProxy) -> None:
    proxy.write_config(
        tools=[{"name": "git"}, {"name": "sh", "required": False}, {"name": "python3", "required": False}],
        policy={"allow": ["git", "s*"], "deny": ["sh"]},
    )
    proxy.start()
    assert proxy.tool_names() == ["git"]
    assert "policy" in proxy.tool("sh")["error"]


@pytest.mark.parametrize(
    "headers,status",
    [({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Host": "evil.example"}, 421)],
)
@pytest.mark.parametrize("path", ["/mcp", "/v1/tools"])
def test_foreign_origins_and_hosts_are_refused(
    probing: ToolProxy, headers: dict[str, str], status: int, path: str
) -> None:
    assert httpx.get(probing.url + path, headers=headers).status_code == status
    assert httpx.post(probing.url + path, headers=headers, content=b"{}").status_code == status


JSON = {"content-type": "application/json"}


def test_errors_have_one_form(probing: ToolProxy) -> None:
    for answer, status in (
        (httpx.get(f"{probing.url}/nowhere"), 404),
        (httpx.delete(f"{probing.url}/v1/tools"), 405),
        (httpx.get(f"{probing.url}/v1/tools/none"), 404),
        (probing.run("none"), 404),
        (httpx.post(f"{probing.url}/v1/tools/sh", json={}), 404),
        (httpx.post(f"{probing.url}/v1/tools/sh:run", content=b"{", headers=JSON), 400),
        (httpx.post(f"{probing.url}/v1/tools/sh:run", content=b" " * (5 << 20), headers=JSON), 413),
        (httpx.get(f"{probing.url}/v1/memory/k"), 503),
    ):
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"code", "message"}


def test_stops_on_sigterm_with_code_0_and_frees_the_folder(fresh: ToolProxy) -> None:
    assert fresh.stop() == 0
    fresh.start()


def test_a_second_proxy_on_the_same_folder_says_so(fresh: ToolProxy) -> None:
    second = ToolProxy(fresh.root)
    second.log = fresh.root / "second-log"
    with pytest.raises(AssertionError, match="another tool proxy works on"):
        second.launch()


def test_a_program_sees_no_credentials_and_writes_to_the_workspace_alone(probing: ToolProxy) -> None:
    probing.write_credential("other-tool", "key", "canary-of-another-tool")
    secret = probing.root / "etc/agentberth/credentials/other-tool/key"
    for script in (
        f"cat {secret}",
        f"ls {secret.parent.parent}",
        f"cat {probing.config_file}",
        f"cat {probing.workspace}/../etc/agentberth/credentials/other-tool/key",
        f"cat /proc/{probing.pid}/root{secret}",
        f"ln -s {secret} link && cat link",
        f"echo x > {probing.tools}/bin/evil",
        f"echo x > {probing.root}/evil",
    ):
        result = structured(probing.run("sh", {"args": ["-c", script]}))
        assert result["exitCode"] != 0, script
        assert "Permission denied" in result["stderr"], (script, result)
        assert "canary" not in result["stdout"]
    script = (
        "mkdir -p d && echo x > d/f && mv d/f g && truncate -s 0 g && rm -r d g && echo > $HOME/h && echo > /dev/null"
    )
    assert structured(probing.run("sh", {"args": ["-c", script]}))["exitCode"] == 0
