import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from contract.initenv.harness import Pod
from contract.initenv.package_index import PackageIndex

from agent_api.initreport import InitFault

SHOW = "import json, os; print(json.dumps([os.getcwd(), dict(os.environ)]))"


def steps(*commands: list[str], **more: Any) -> list[dict[str, Any]]:
    return [{"name": f"s{number}", "command": command, **more} for number, command in enumerate(commands)]


def test_commands_run_in_order_where_the_code_is(pod: Pod) -> None:
    pod.mount("code/main.py", "")
    pod.plan(
        code={"kind": "local", "folder": "/etc/agentberth/code"},
        setup=steps(["touch", "made"], ["cp", "made", "again"], ["cp", "/shared/code/again", "/shared/top"]),
    )
    assert pod.run().prepared().steps[-1].detail == "s0, s1, s2"
    assert {"code/made", "code/again", "top"} <= set(pod.tree())


def test_what_was_prepared_is_on_the_path(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel(
        "tool", "1.0", files={"tool.py": "def main(): print('from a package')\n"}, scripts={"t": "tool:main"}
    )
    pod.plan(
        files=[{"path": "/shared/bin/hello", "content": "#!/bin/sh\necho from /shared/bin\n"}],
        packages={"runtime": "python", "requirements": ["tool"]},
        index={"pythonUrl": index.url},
        setup=steps(["hello"], ["t"], ["python3", "-c", "import tool; print(tool.__name__)"]),
    )
    outcome = pod.run()
    outcome.prepared()
    for line in ("s0: from /shared/bin", "s1: from a package", "s2: tool"):
        assert f"initenv setup    {line}\n" in outcome.stderr


def test_the_environment_is_minimal(pod: Pod) -> None:
    pod.env = {"CANARY": "secret", "HTTPS_PROXY": "http://127.0.0.1:9", "LD_PRELOAD": ""}
    python = str(Path(sys.executable).resolve())  # a clone may be under /tmp, whose paths move
    pod.plan(setup=steps([python, "-c", SHOW]))
    line = next(line for line in pod.run().stderr.splitlines() if "s0: " in line)
    folder, env = json.loads(line.partition("s0: ")[2])
    assert folder == str(pod.shared)
    assert set(env) <= {"PATH", "HOME", "TMPDIR", "LC_ALL", "LC_CTYPE", "HTTPS_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    assert env["HTTPS_PROXY"] == "http://127.0.0.1:9"
    assert f":{pod.shared}/bin:" in env["PATH"]


def test_no_package_stands_in_for_a_program_of_the_system(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("trap", "1.0", files={"trap.py": "def main(): print('trapped')\n"}, scripts={"sh": "trap:main"})
    pod.plan(
        files=[{"path": "/shared/bin/echo", "content": "#!/bin/sh\nprintf trapped"}],
        packages={"runtime": "python", "requirements": ["trap"]},
        index={"pythonUrl": index.url},
        setup=steps(["sh", "-c", "echo free"]),
    )
    outcome = pod.run()
    outcome.prepared()
    assert "s0: free" in outcome.stderr
    assert "trapped" not in outcome.stderr


def test_setup_is_a_phase_of_its_own(pod: Pod) -> None:
    pod.mount("code/main.py", "")
    pod.plan(code={"kind": "local", "folder": "/etc/agentberth/code"}, setup=steps(["touch", "made"]))
    prepared = pod.run("--phase", "prepare").prepared()
    assert [step.name for step in prepared.steps] == ["code"]
    assert "code/made" not in pod.tree()
    setup = pod.run("--phase", "setup").prepared()
    assert [step.name for step in setup.steps] == ["setup"]
    assert "code/made" in pod.tree()
    assert pod.run("--phase", "prepare").step("code") == "unchanged"
    assert pod.run("--phase", "setup").step("setup") == "unchanged"


def test_a_failed_phase_of_setup_is_tried_again_and_prepared_anew_with_the_rest(pod: Pod) -> None:
    pod.mount("code/main.py", "")
    code = {"kind": "local", "folder": "/etc/agentberth/code"}
    command = steps(["sh", "-c", "echo x >> tried; test -f /shared/allowed"])
    pod.plan(code=code, setup=command)
    pod.run("--phase", "prepare").prepared()
    pod.run("--phase", "setup").error(InitFault.SETUP_FAILED)
    pod.run("--phase", "setup").error(InitFault.SETUP_FAILED)
    assert (pod.shared / "code/tried").read_text() == "x\nx\n"
    assert pod.run("--phase", "prepare").step("code") == "done"
    assert "code/tried" not in pod.tree()


def test_arguments_are_not_for_a_shell(pod: Pod) -> None:
    pod.plan(setup=steps(["echo", "$HOME; touch broken", "*"]))
    assert "s0: $HOME; touch broken *" in pod.run().stderr


def test_a_failing_command(pod: Pod) -> None:
    pod.plan(setup=steps(["sh", "-c", "echo first; echo why >&2; exit 7"], ["touch", "never"]))
    outcome = pod.run()
    error = outcome.error(InitFault.SETUP_FAILED)
    assert error.step == "setup"
    assert "'s0' ended with exit code 7" in error.cause
    assert "first | why" in error.cause
    assert "initenv setup    s0: why" in outcome.stderr
    assert not (pod.shared / "never").exists()


def test_a_command_that_is_ended_by_a_signal(pod: Pod) -> None:
    pod.plan(setup=steps(["sh", "-c", "kill -9 $$"]))
    assert "ended by signal 9. It printed nothing." in pod.run().error(InitFault.SETUP_FAILED).cause


def test_a_command_that_takes_too_long_ends_with_all_its_children(pod: Pod) -> None:
    code = "trap '' TERM; (while :; do sleep 0.1; date > alive; done) & sleep 60"
    pod.plan(setup=steps(["sh", "-c", code], timeoutSeconds=1))
    error = pod.run().error(InitFault.TIMED_OUT)
    assert "'s0'" in error.cause
    assert "1 s" in error.cause
    (pod.shared / "alive").unlink()
    time.sleep(0.5)
    assert not (pod.shared / "alive").exists()


def test_a_command_that_leaves_a_child_behind(pod: Pod) -> None:
    pod.plan(setup=steps(["sh", "-c", "(sleep 60; touch late) & echo done"]))
    assert pod.run().prepared().seconds < 30


def test_a_daemon_in_a_session_of_its_own_does_not_outlive_its_command(pod: Pod) -> None:
    daemon = "(while :; do date > alive; sleep 0.1; done) >/dev/null 2>&1 &"
    pod.plan(setup=steps(["setsid", "--fork", "sh", "-c", f"{daemon} sleep 0.3"], ["sleep", "1"]))
    pod.run().prepared()
    (pod.shared / "alive").unlink(missing_ok=True)
    time.sleep(0.5)
    assert not (pod.shared / "alive").exists()


SECRETS = [
    "authorization: Bearer sk-c4narycanary",
    "OPENAI_API_KEY=c4narycanary",
    "//registry.example.com/:_authToken=c4narycanary",
    "clone of https://me:c4nary@git.example.com/x failed",
    "Cookie: theme=dark; session=c4nary",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nc4narycanary\nc4narycanary\n-----END OPENSSH PRIVATE KEY-----",
    "x" * 600 + " token ghp_c4narycanarycanary1234",
    "token ghp_c4narycanarycanary1234" + "x" * 480,
    "-----BEGIN RSA PRIVATE KEY-----\n" + "c4nary\n" * 30,
]


@pytest.mark.parametrize("printed", SECRETS)
@pytest.mark.parametrize("code", [0, 1])
def test_secrets_that_a_command_prints_are_nowhere(pod: Pod, printed: str, code: int) -> None:
    command = ["/bin/sh", "-c", 'printf "%s\\n" "$1"; exit "$2"', "sh", printed, str(code)]
    pod.plan(setup=steps(command))
    outcome = pod.run()
    assert outcome.code == code
    assert "***" in outcome.stderr
    assert "c4nary" not in outcome.stdout + outcome.stderr


@pytest.mark.parametrize("program", ["no-such-program", "/shared/no-such-program", "/shared"])
def test_a_program_that_is_not_there(pod: Pod, program: str) -> None:
    pod.plan(setup=steps([program]))
    cause = pod.run().error(InitFault.PROGRAM_MISSING).cause
    assert program in cause
    assert "'s0'" in cause


def test_it_runs_again_when_something_before_it_changed(pod: Pod) -> None:
    counted = steps(["sh", "-c", "echo x >> count"])
    pod.plan(files=[{"path": "/shared/a", "content": "1"}], setup=counted)
    pod.run().prepared()
    assert pod.run().step("setup") == "unchanged"
    assert (pod.shared / "count").read_text() == "x\n"
    pod.plan(files=[{"path": "/shared/a", "content": "2"}], setup=counted)
    assert pod.run().step("setup") == "done"
    assert (pod.shared / "count").read_text() == "x\nx\n"
    pod.plan(files=[{"path": "/shared/a", "content": "2"}], setup=steps(["sh", "-c", "echo y >> count"]))
    assert pod.run().step("setup") == "done"


def test_after_a_failure_everything_is_prepared_anew(pod: Pod) -> None:
    pod.mount("code/main.py", "")
    code = {"kind": "local", "folder": "/etc/agentberth/code"}
    pod.plan(code=code, setup=steps(["mkdir", "/shared/once"], ["sh", "-c", "echo half > half; exit 1"]))
    pod.run().error(InitFault.SETUP_FAILED)
    pod.plan(code=code, setup=steps(["mkdir", "/shared/once"]))
    outcome = pod.run()
    outcome.prepared()
    assert outcome.step("code") == "done"
    assert set(pod.tree()) == {"code", "code/main.py", "once"}
