"""hack/kind-with-registry.sh with stand-ins for docker, kind and kubectl that keep what they were told."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "kind-with-registry.sh"
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$BERTH_STATE/calls"
case "$(basename "$0") $*" in
"docker inspect --format {{.State.Running}}"*) [ -e "$BERTH_STATE/registry" ] && echo true ;;
"docker inspect --format {{json"*) [ -e "$BERTH_STATE/connected" ] && echo '{}' || echo null ;;
"docker start"*) exit 1 ;;
"docker run"*) touch "$BERTH_STATE/registry" ;;
"docker network connect"*) touch "$BERTH_STATE/connected" ;;
"docker exec --interactive"*) cat >> "$BERTH_STATE/stdin" ;;
"kind get clusters") [ -e "$BERTH_STATE/cluster" ] && echo agentberth ;;
"kind get nodes"*) echo agentberth-control-plane ;;
"kind create"*) touch "$BERTH_STATE/cluster"; cat >> "$BERTH_STATE/stdin" ;;
"kubectl"*) cat >> "$BERTH_STATE/stdin" ;;
esac
exit 0
"""


class Machine:
    """A PATH with the stand-ins, and what became of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.programs = root / "bin"
        self.programs.mkdir()
        for name in ("docker", "kind", "kubectl"):
            (self.programs / name).write_text(STAND_IN)
            (self.programs / name).chmod(0o755)

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": f"{self.programs}:{os.defpath}", "BERTH_STATE": str(self.root), **settings}
        return subprocess.run([str(SCRIPT), *arguments], env=env, capture_output=True, text=True, check=False)

    def calls(self) -> list[str]:
        file = self.root / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_up_makes_a_registry_and_a_cluster_that_know_each_other(machine: Machine) -> None:
    done = machine.run("up", KIND_NODE_IMAGE="kindest/node:v1.34.3")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "cluster kind-agentberth; images: localhost:5001/NAME:TAG\n"
    calls, told = machine.calls(), (machine.root / "stdin").read_text()
    assert [call for call in calls if "127.0.0.1:5001:5000" in call and "--name agentberth-registry" in call]
    assert [call for call in calls if call.startswith("kind create") and "--image kindest/node:v1.34.3" in call]
    assert "docker network connect kind agentberth-registry" in calls
    assert '[host."http://agentberth-registry:5000"]' in told
    assert 'host: "localhost:5001"' in told


def test_a_second_up_changes_nothing_that_is_there(machine: Machine) -> None:
    machine.run("up")
    before = len(machine.calls())

    assert machine.run("up").returncode == 0

    again = machine.calls()[before:]
    assert not [call for call in again if call.startswith(("docker run", "kind create", "docker network"))]


def test_down_removes_both(machine: Machine) -> None:
    machine.run("up")
    assert machine.run("down").returncode == 0
    assert machine.calls()[-2:] == ["kind delete cluster --name agentberth", "docker rm --force agentberth-registry"]


def test_what_is_missing_is_named(machine: Machine) -> None:
    (machine.programs / "kind").unlink()
    done = machine.run("up")
    assert (done.returncode, done.stderr) == (1, "error: kind is not on the PATH\n")


def test_without_a_word_it_says_what_it_can_do(machine: Machine) -> None:
    assert machine.run().returncode == 2
    assert "up|down" in machine.run("--help").stdout
    assert machine.calls() == []
