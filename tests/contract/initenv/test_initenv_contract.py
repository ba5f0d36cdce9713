import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from contract.initenv.harness import PROGRAM, Pod
from contract.initenv.package_index import Hold, PackageIndex

from agent_api.initplan import InitPlan
from agent_api.initreport import InitFault, InitReport

FILE = {"path": "/shared/hello.txt", "content": "hello"}


def test_an_empty_plan_is_prepared(pod: Pod) -> None:
    pod.plan()
    report = pod.run().prepared()
    assert (report.agent, report.steps, report.size_bytes, report.error) == ("tested", (), 0, None)


def test_the_steps_are_done_in_order_and_reported(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("good", "1.0")
    pod.mount("code/main.py", "print(1)")
    pod.plan(
        setup=[{"name": "last", "command": ["true"]}],
        glue={"runtime": "python", "source": "/shared/glue.py"},
        packages={"runtime": "python", "requirements": ["good"]},
        code={"kind": "local", "folder": "/etc/agentberth/code"},
        files=[{"path": "/shared/glue.py", "content": ""}],
        index={"pythonUrl": index.url},
    )
    outcome = pod.run()
    report = outcome.prepared()
    assert [step.name for step in report.steps] == ["files", "code", "packages", "glue", "setup"]
    assert {step.outcome for step in report.steps} == {"done"}
    assert report.size_bytes == sum(step.size_bytes for step in report.steps) > 0
    assert report.seconds >= sum(step.seconds for step in report.steps) - 0.01
    before = pod.tree()
    again = pod.run()
    assert {step.outcome for step in again.report.steps} == {"unchanged"}
    assert again.report.versions == report.versions
    assert pod.tree() == before


def test_a_person_sees_each_step_start_and_end(pod: Pod) -> None:
    pod.plan(files=[FILE])
    lines = pod.run().stderr.splitlines()
    assert lines[0] == "initenv files    1 file"
    assert lines[1].startswith("initenv files    done in 0.0")
    assert lines[1].endswith(" s, 5 B")
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("no_color, coloured", [("", True), ("1", False)])
def test_colour_is_for_terminals(pod: Pod, no_color: str, coloured: bool) -> None:
    pod.plan(files=[FILE])
    ours, theirs = os.openpty()
    env = {**pod.environment(), "NO_COLOR": no_color}
    subprocess.run(pod.command(), env=env, stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.close(theirs)
    assert (b"\x1b[32m" in os.read(ours, 65536)) == coloured
    os.close(ours)


@pytest.mark.parametrize(
    "text, cause",
    [
        ("{", "EOF"),
        ('{"agent": "a", "extra": 1}', "extra"),
        ("{}", "agent: Field required"),
        ('{"agent": "a", "setup": [{"name": "x", "command": []}]}', "setup.0.command"),
        ('{"agent": "a", "limits": {"attempts": 0, "x": 1, "stepTimeoutSeconds": 0, "y": 1}}', "and 1 more"),
    ],
)
def test_a_plan_that_is_not_valid(pod: Pod, text: str, cause: str) -> None:
    pod.mount("init/init.json", text)
    outcome = pod.run()
    error = outcome.error(InitFault.PLAN_INVALID)
    assert (outcome.code, error.step) == (2, "plan")
    assert cause in error.cause
    assert "init.json" in error.cause


def test_a_plan_that_is_not_there(pod: Pod) -> None:
    outcome = pod.run("--plan", "/nowhere/init.json")
    assert outcome.code == 2
    assert "/nowhere/init.json" in outcome.error(InitFault.PLAN_INVALID).cause


@pytest.mark.parametrize("arguments", [["--bad"], ["more"], ["--plan"]])
def test_a_command_line_that_is_wrong(arguments: list[str]) -> None:
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "agent-initenv --help" in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_has_examples_and_version_a_number() -> None:
    said = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    assert "examples:" in said
    assert "exit codes:" in said
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == "agent-initenv"
    assert said.split()[1][0].isdigit()


def test_explicit_places(pod: Pod, tmp_path: Path) -> None:
    elsewhere = tmp_path / "plan.json"
    elsewhere.write_text(InitPlan(agent="other").model_dump_json())
    cache = tmp_path / "cache" / "deep"
    assert pod.run("--plan", str(elsewhere), "--cache", str(cache)).prepared().agent == "other"
    assert cache.is_dir()


def test_a_report_that_cannot_be_written_is_still_on_stdout(pod: Pod) -> None:
    pod.plan()
    command = pod.command("--report", "/nowhere/report.json")
    done = subprocess.run(command, env=pod.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert InitReport.model_validate_json(done.stdout).outcome == "succeeded"
    assert "/nowhere/report.json" in done.stderr


def test_a_report_in_place_keeps_the_file(pod: Pod) -> None:
    """The termination log is a mounted file: it can be written but not replaced."""
    pod.plan()
    pod.report.write_text("")
    inode = pod.report.stat().st_ino
    pod.run().prepared()
    assert pod.report.stat().st_ino == inode


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_its_children(pod: Pod, index: PackageIndex, number: signal.Signals, code: int) -> None:
    index.add_wheel("good", "1.0")
    hold = Hold()
    index.fail("/simple/good", hold)
    pod.plan(packages={"runtime": "python", "requirements": ["good"]}, index={"pythonUrl": index.url})
    running = pod.start()
    assert hold.reached.wait(20)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.send_signal(number)
    stdout, stderr = running.communicate(timeout=20)
    hold.release.set()
    report = InitReport.model_validate_json(stdout)
    assert running.returncode == code
    assert report.error is not None
    assert (report.error.fault, report.error.step) == (InitFault.INTERRUPTED, "packages")
    assert "Traceback" not in stderr
    assert children
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert pod.tree() == {}
    assert not list(pod.root.glob("tmp/agentberth-init-*"))
    pod.run().prepared()


def test_two_at_once_do_not_meet(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("good", "1.0")
    hold = Hold()
    index.fail("/simple/good", hold)
    pod.plan(packages={"runtime": "python", "requirements": ["good"]}, index={"pythonUrl": index.url})
    first = pod.start()
    assert hold.reached.wait(20)
    second = subprocess.run(pod.command(), env=pod.environment(), capture_output=True, text=True, check=False)
    hold.release.set()
    assert second.returncode == 1
    assert "Another agent-initenv" in json.loads(second.stdout)["error"]["cause"]
    first.communicate(timeout=30)
    assert first.returncode == 0
    assert (pod.shared / "sdk/python/good.py").exists()


def test_what_takes_too_long_is_ended(pod: Pod, index: PackageIndex) -> None:
    hold = Hold()
    index.fail("/simple/good", hold)
    pod.plan(
        packages={"runtime": "python", "requirements": ["good"]},
        index={"pythonUrl": index.url},
        limits={"stepTimeoutSeconds": 1},
    )
    outcome = pod.run()
    hold.release.set()
    assert "uv" in outcome.error(InitFault.TIMED_OUT).cause


def test_no_time_is_left_for_another_attempt(pod: Pod, index: PackageIndex) -> None:
    index.fail("/simple/good", 503, 503)
    pod.plan(
        packages={"runtime": "python", "requirements": ["good"]},
        index={"pythonUrl": index.url},
        limits={"stepTimeoutSeconds": 2, "backoffSeconds": 60},
    )
    assert "503" in pod.run().error(InitFault.TIMED_OUT).cause


def test_a_volume_that_cannot_be_written_to(pod: Pod) -> None:
    pod.plan(files=[FILE])
    pod.shared.write_text("a file where a folder belongs")
    done = subprocess.run(pod.command(), env=pod.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert str(pod.shared) in json.loads(done.stdout)["error"]["cause"]
    assert "Traceback" not in done.stderr


def test_what_is_no_longer_planned_is_removed(pod: Pod) -> None:
    pod.mount("code/main.py", "")
    pod.plan(
        files=[{"path": "/shared/glue.py", "content": ""}, FILE],
        code={"kind": "local", "folder": "/etc/agentberth/code"},
        glue={"runtime": "python", "source": "/shared/glue.py"},
        packages={"runtime": "python", "requirements": []},
        setup=[{"name": "s", "command": ["true"]}],
    )
    pod.run().prepared()
    (pod.shared / "made-by-someone-else").mkdir()
    pod.plan()
    pod.run().prepared()
    assert set(pod.tree()) == {"made-by-someone-else"}
