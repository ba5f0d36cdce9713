"""`agentberth run` from outside: what the agent sees, what the shell gets back, what is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import AGENTBERTH, Run

Write = Callable[..., Path]

SHOW = """
import json, os, sys
json.dump({"env": dict(os.environ), "argv": sys.argv, "cwd": os.getcwd(), "prefix": sys.prefix}, sys.stdout)
"""


def test_the_exit_code_is_the_agents(agentberth: Run, agent: Write) -> None:
    done = agentberth("run", str(agent("import sys; print('hello'); sys.exit(7)")))

    assert done.returncode == 7
    assert "agent   | hello" in done.stdout
    assert "tester ended with exit code 7" in done.stderr


def test_an_agent_killed_by_a_signal_gives_128_and_the_signal(agentberth: Run, agent: Write) -> None:
    assert agentberth("run", str(agent("import os; os.kill(os.getpid(), 9)"))).returncode == 137


def test_quiet_gives_the_agents_output_as_it_is(agentberth: Run, agent: Write) -> None:
    done = agentberth("run", "-q", str(agent("import sys; print('out'); print('err', file=sys.stderr)")))

    assert done.stdout == "out\n"
    assert done.stderr == "err\n"


def test_the_agent_sees_the_pods_environment_with_its_paths_moved(
    agentberth: Run, agent: Write, tmp_path: Path
) -> None:
    variables = '    environment:\n      variables: [{name: DATA, value: "/workspace/data:/usr/share"}]\n'

    done = agentberth("run", "-q", str(agent(SHOW, extra=variables)), "--", "--topic", "robots")

    seen = json.loads(done.stdout)
    root = tmp_path / ".agentberth" / "tester"
    assert seen["env"]["AGENT_NAME"] == "tester"
    assert seen["env"]["AGENT_WORKSPACE"] == str(root / "workspace")
    assert seen["env"]["DATA"] == f"{root}/workspace/data:/usr/share"
    assert seen["env"]["PATH"].startswith(f"{root}/shared/bin:")
    assert seen["cwd"] == str(root / "shared" / "code")
    assert seen["argv"][1:] == ["--topic", "robots"]


def test_what_is_another_here_than_in_a_pod_is_said_at_the_start(agentberth: Run, agent: Write, tmp_path: Path) -> None:
    manifest = agent("print('ran')")
    volumes = "    volumes: [{name: data, emptyDir: {}}]\n    volumeMounts: [{name: data, mountPath: /data}]\n"
    manifest.write_text(
        manifest.read_text().replace("runtime: python", 'runtime: python\n      version: "3.2"') + volumes
    )

    done = agentberth("run", str(manifest))

    assert done.returncode == 0, done.stderr
    assert "note: python 3.2 is not installed here, so " in done.stderr
    assert "uv could not bring it (No download found for request: cpython-3.2" in done.stderr
    assert "note: agent.volumes are not mounted here: /data is" in done.stderr


def test_whole_secrets_and_config_maps_are_variables_that_others_win_over(agentberth: Run, agent: Write) -> None:
    extra = """\
    workingDir: /workspace
    environment:
      envFrom:
        - {prefix: DB_, secretRef: {name: database}}
        - {configMapRef: {name: settings}}
        - {configMapRef: {name: none, optional: true}}
      variables: [{name: MODE, value: own}]
"""
    objects = """\
---
apiVersion: v1
kind: Secret
metadata: {name: database}
stringData: {USER: crew}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {MODE: theirs, AGENT_NAME: stranger, LEVEL: "3", 9-no: name}
"""

    done = agentberth("run", "-q", str(agent(SHOW, extra=extra, objects=objects)))

    seen = json.loads(done.stdout)
    wanted = {"DB_USER": "crew", "MODE": "own", "AGENT_NAME": "tester", "LEVEL": "3"}
    assert seen["env"].items() >= wanted.items()
    assert "9-no" not in seen["env"]
    assert seen["cwd"].endswith("/.agentberth/tester/workspace")


def test_the_shells_proxy_is_the_agents_but_not_for_what_is_on_this_machine(
    agentberth: Run, agent: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port is nobody's: a probe of a sidecar that went through it would wait for ever."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "corp.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", "/corp/ca.pem")
    extra = "  llm: {providers: [{name: main, type: mock}]}\n"
    code = """
import json, os, urllib.request
print(json.dumps(dict(os.environ)))
urllib.request.urlopen(os.environ["LLM_GATEWAY_URL"] + "/v1/models").read()
"""

    done = agentberth("run", "-q", str(agent(code, extra=extra)))

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["HTTP_PROXY"] == seen["https_proxy"] == "http://127.0.0.1:9"
    assert seen["NO_PROXY"] == seen["no_proxy"] == "corp.example.com,localhost,127.0.0.1,::1"
    assert seen["SSL_CERT_FILE"] == "/corp/ca.pem"


def test_nothing_of_the_callers_environment_reaches_the_agent(
    agentberth: Run, agent: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_PRIVATE_KEY", "canary")

    done = agentberth("run", "-q", str(agent(SHOW)))

    assert "canary" not in done.stdout
    assert ".venv" not in json.loads(done.stdout)["prefix"]


def test_files_glue_and_secrets_are_as_in_the_pod(agentberth: Run, agent: Write) -> None:
    extra = """\
    environment:
      variables:
        - {name: TOKEN, valueFrom: {secretKeyRef: {name: keys, key: token}}}
        - {name: MISSING, valueFrom: {configMapKeyRef: {name: none, key: none, optional: true}}}
      glueCode: {source: /shared/glue.py}
      files:
        - {path: glue.py, content: "import builtins; builtins.greeting = 'from glue'"}
        - {path: words.txt, configMapKeyRef: {name: words, key: list}}
"""
    objects = """\
---
kind: Secret
metadata: {name: keys}
stringData: {token: s3cret}
---
kind: ConfigMap
metadata: {name: words}
data: {list: "ahoy"}
"""
    code = """
import os, pathlib
print(greeting, os.environ["TOKEN"], "MISSING" in os.environ, pathlib.Path("../words.txt").read_text())
"""

    done = agentberth("run", "-q", str(agent(code, extra=extra, objects=objects)))

    assert done.stdout == "from glue s3cret False ahoy\n", done.stderr


def test_a_secret_that_is_not_there_is_told_with_the_cure(agentberth: Run, agent: Write) -> None:
    extra = "    environment:\n      variables:\n        - {name: T, valueFrom: {secretKeyRef: {name: keys, key: t}}}\n"

    done = agentberth("run", str(agent("print()", extra=extra)))

    assert done.returncode == 1
    assert 'refers to the Secret "keys", which is not in the files given' in done.stderr
    assert "try: put the Secret into the manifest" in done.stderr


@pytest.mark.parametrize(
    "fault,place", [("metadata: [a]\ndata: {}", "3:1: metadata"), ("metadata: {name: a}\ndata: [1]", "4:1: data")]
)
def test_an_object_of_the_wrong_shape_is_told_with_its_place(
    agentberth: Run, agent: Write, tmp_path: Path, fault: str, place: str
) -> None:
    (tmp_path / "other.yaml").write_text(f"apiVersion: v1\nkind: ConfigMap\n{fault}\n")

    done = agentberth("run", str(agent("")), "other.yaml")

    assert done.returncode == 1
    assert done.stderr == f"error: other.yaml:{place} of a ConfigMap must be a mapping\n"


def test_a_failed_preparation_names_step_cause_and_cure(agentberth: Run, agent: Write) -> None:
    extra = "    environment:\n      glueCode: {source: /shared/absent.py}\n"

    done = agentberth("run", str(agent("print()", extra=extra)))

    assert done.returncode == 1
    assert "error: glue: " in done.stderr
    assert "absent.py" in done.stderr
    assert "try: " in done.stderr
    assert "Traceback" not in done.stderr


def test_an_edit_of_the_code_is_seen_by_the_next_run(agentberth: Run, agent: Write) -> None:
    assert agentberth("run", "-q", str(agent("print('one')"))).stdout == "one\n"
    assert agentberth("run", "-q", str(agent("print('two')"))).stdout == "two\n"


def test_fresh_forgets_what_was_prepared_but_keeps_the_workspace(agentberth: Run, agent: Write, tmp_path: Path) -> None:
    manifest = str(agent("import os; print(os.listdir(os.environ['AGENT_WORKSPACE']))"))
    agentberth("run", "-q", manifest)
    root = tmp_path / ".agentberth" / "tester"
    (root / "shared" / "stale").write_text("")
    (root / "workspace" / "kept").write_text("")

    assert agentberth("run", "-q", "--fresh", manifest).stdout == "['kept']\n"
    assert not (root / "shared" / "stale").exists()


def test_nothing_is_written_outside_the_agents_folder(agentberth: Run, agent: Write, tmp_path: Path) -> None:
    before = {p.name for p in tmp_path.iterdir()} | {"code", "agent.yaml"}

    agentberth("run", str(agent("print()")))

    assert {p.name for p in tmp_path.iterdir()} == before | {".agentberth"}
    assert (tmp_path / ".agentberth" / ".gitignore").read_text() == "*\n"


CONTAINER = """\
apiVersion: agents.example.com/v1
kind: AgentType
metadata: {name: web}
spec: {agent: {image: "nginx:1.27", environment: {variables: [{name: WHO, value: me}]}}}
"""


def test_an_image_needs_a_command_to_run_here(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(CONTAINER)

    refused = agentberth("run", "web.yaml")
    done = agentberth("run", "-q", "web.yaml", "--command", "sh -c 'echo $WHO'")

    assert refused.returncode == 1
    assert "the agent is the image nginx:1.27, which needs a container runtime" in refused.stderr
    assert "--command" in refused.stderr
    assert done.stdout == "me\n"


@pytest.mark.parametrize(
    "command,message",
    [("no-such-program", "agent: cannot start no-such-program"), ("echo 'a", "--command: no closing quotation")],
)
def test_a_command_that_cannot_start_is_one_clear_error(
    agentberth: Run, tmp_path: Path, command: str, message: str
) -> None:
    (tmp_path / "web.yaml").write_text(CONTAINER)

    done = agentberth("run", "web.yaml", "--command", command)

    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


# An agent with a child in its group, and a grandchild that left the group; both write their pid and ignore SIGTERM.
FAMILY = """
import os, signal, subprocess, sys, time
def child(name, **kw):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code], **kw)
    open(f"{os.environ['AGENT_WORKSPACE']}/{name}.pid", "w").write(str(process.pid))
child("child")
child("runaway", start_new_session=True)
open(f"{os.environ['AGENT_WORKSPACE']}/agent.pid", "w").write(str(os.getpid()))
print("ready", flush=True)
%s
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def pids(tmp_path: Path) -> dict[str, int]:
    folder = tmp_path / ".agentberth" / "tester" / "workspace"
    return {file.stem: int(file.read_text()) for file in folder.glob("*.pid")}


@pytest.fixture
def family(agent: Write, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(ending: str) -> subprocess.Popen[str]:
        manifest = str(agent(FAMILY % ending))
        process = subprocess.Popen(
            [*AGENTBERTH, "run", manifest, "--grace", "1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert any("ready" in line for line in iter(process.stdout.readline, ""))
        return process

    yield start
    for process in started:
        if process.stdout:
            process.stdout.close()
        if process.poll() is None:
            process.kill()
        process.wait()
    for pid in pids(tmp_path).values():
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_every_process(
    family: Callable[[str], subprocess.Popen[str]], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = family("time.sleep(600)")

    process.send_signal(number)

    assert process.wait(timeout=30) == code
    assert len(pids(tmp_path)) == 3
    assert not [name for name, pid in pids(tmp_path).items() if alive(pid)]


def test_the_agents_end_ends_every_process(family: Callable[[str], subprocess.Popen[str]], tmp_path: Path) -> None:
    process = family("sys.exit(3)")

    assert process.wait(timeout=30) == 3
    assert not [name for name, pid in pids(tmp_path).items() if alive(pid)]


def test_no_process_survives_a_run_that_is_killed(
    family: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = family("time.sleep(600)")

    process.kill()

    deadline = time.monotonic() + 30
    while survivors := [name for name, pid in pids(tmp_path).items() if alive(pid)]:
        assert time.monotonic() < deadline, survivors
        time.sleep(0.05)


def test_the_agent_reads_what_is_given_to_the_run(agent: Write) -> None:
    manifest = str(agent("print(input().upper())"))

    done = subprocess.run(
        [*AGENTBERTH, "run", "-q", manifest], input="ahoy\n", capture_output=True, text=True, timeout=90, check=False
    )

    assert done.stdout == "AHOY\n", done.stderr


WRITER = """
import os, sys, tempfile
from pathlib import Path
workspace = Path(os.environ["AGENT_WORKSPACE"])
for folder in (workspace, Path(tempfile.gettempdir()), Path.cwd(), workspace.parent / "shared", Path(sys.argv[1])):
    try:
        (folder / "written").write_text("")
        print("written")
    except OSError as error:
        print(type(error).__name__)
print([each for each in sys.path if "-packages" in each and "/.agentberth/" not in each])
"""


def test_the_pods_read_only_folders_and_the_machines_packages_are_out_of_reach(
    agentberth: Run, agent: Write, tmp_path: Path
) -> None:
    """TMPDIR is another one, as every program may write to that."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    done = agentberth(
        "run", str(agent(WRITER)), "--", str(tmp_path), environment={"TMPDIR": str(elsewhere), "PYTHONPATH": "/corp"}
    )

    lines = [line.partition("| ")[2] for line in done.stdout.splitlines()]
    assert "folders that are read-only in the Pod are writable here" not in done.stderr
    assert lines == [*["written"] * 2, *["PermissionError"] * 3, "[]"], done.stdout + done.stderr


def test_a_manifest_below_the_folder_for_temporary_files_is_told_what_that_costs(
    agentberth: Run, agent: Write, tmp_path: Path
) -> None:
    done = agentberth("run", str(agent("")), environment={"TMPDIR": str(tmp_path)})

    assert f"writable here, because the manifest is below {tmp_path}" in done.stderr


def test_a_call_of_a_tool_is_a_line_of_the_run(agentberth: Run, agent: Write) -> None:
    code = """
import json, os, urllib.request
headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ["TOOL_PROXY_TOKEN"]}
body = json.dumps({"arguments": {"args": ["--version"]}}).encode()
address = os.environ["TOOL_PROXY_URL"] + "/v1/tools/git:run"
urllib.request.urlopen(urllib.request.Request(address, body, headers)).read()
"""

    done = agentberth("run", str(agent(code, extra="  tools: {required: [git]}\n")))

    assert 'toolproxy | tool git {"args": ["--version"]}: ok in ' in done.stderr


@pytest.mark.parametrize("options", [(), ("--quiet",)])
def test_a_reader_that_goes_ends_the_run_quietly(agent: Write, options: tuple[str, ...]) -> None:
    manifest = str(agent("import time\nfor i in range(50_000): print(i)\ntime.sleep(60)"))
    run = subprocess.Popen([*AGENTBERTH, "run", *options, manifest], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout
    assert run.stderr
    run.stdout.readline()
    run.stdout.close()

    said = run.stderr.read().decode()
    run.stderr.close()
    assert run.wait(timeout=30) == 128 + signal.SIGPIPE
    assert "error" not in said
    assert "BrokenPipe" not in said


LOADING = """
import sys, time

class Slow:
    def find_spec(self, name, path, target=None):
        if name == "agentberth.app":
            print("loading", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Slow())
from agentberth.entry import script
script()
"""


def test_ctrl_c_while_the_command_is_loading_ends_it_without_a_traceback() -> None:
    run = subprocess.Popen([sys.executable, "-c", LOADING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "loading\n"
    run.send_signal(signal.SIGINT)
    assert run.communicate(timeout=60) == ("", "")
    assert run.returncode == -signal.SIGINT


def test_a_second_signal_does_not_wait_for_the_grace_period(agent: Write) -> None:
    code = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
    command = [*AGENTBERTH, "run", str(agent(code)), "--grace", "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert any("ready" in line for line in iter(process.stdout.readline, ""))
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)

        assert process.wait(timeout=30) == 130


def test_two_runs_of_one_agent_do_not_share_a_workspace(
    family: Callable[[str], subprocess.Popen[str]], agentberth: Run, tmp_path: Path
) -> None:
    family("time.sleep(600)")

    second = agentberth("run", str(tmp_path / "agent.yaml"))

    assert second.returncode == 1
    assert "tester is already running" in second.stderr
