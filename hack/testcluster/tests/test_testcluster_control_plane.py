"""The real control plane through its command line: what a test suite does with it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

CLUSTER = Path(__file__).resolve().parent.parent / "cluster"
BUILD_TIMEOUT_S = 2400


class Machine:
    """One cluster's home, and what of it can be seen on the machine."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        argv = [str(CLUSTER), *arguments, f"--home={self.home}"]
        env = {name: value for name, value in os.environ.items() if name != "KUBEBUILDER_ASSETS"}
        result = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert result.returncode == 0 or not check, result.stderr
        return result

    def kubectl(self, *arguments: str) -> str:
        state = json.loads(self.run("status", "--json").stdout)
        argv = [f"{state['programs']}/kubectl", f"--kubeconfig={state['kubeconfig']}", *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def processes(self) -> list[str]:
        """Command lines that mention the home."""
        found = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(self.home) in line and int(file.parent.name) != os.getpid():
                found.append(line)
        return found

    def mounts(self) -> list[str]:
        """Mounts that mention the home; other programs of the machine mount what they like meanwhile."""
        return [line for line in Path("/proc/mounts").read_text().splitlines() if str(self.home) in line]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "home")


@pytest.mark.timeout(BUILD_TIMEOUT_S)  # the first run on a machine builds Kubernetes
def test_up_restart_down(machine: Machine) -> None:
    try:
        machine.run("up", "--control-plane")
        machine.kubectl("create", "configmap", "kept", "--from-literal=a=1")
        address = json.loads(machine.run("status", "--json").stdout)["server"]

        machine.run("restart", "kube-apiserver", "--signal=KILL")

        state = json.loads(machine.run("status", "--json").stdout)
        assert state["server"] == address
        assert {name for name, found in state["components"].items() if found["running"]} == {
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
        }
        assert machine.kubectl("get", "configmap", "kept", "-o=jsonpath={.data.a}") == "1"
    finally:
        machine.run("down")
    assert machine.processes() == []
    assert machine.mounts() == []
    assert not machine.home.exists()


@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_fake_nodes_run_pods(machine: Machine) -> None:
    try:
        machine.run("up", "--control-plane", "--kwok=2", "--api-qps=500")
        assert machine.kubectl("get", "nodes", "-o=name").split() == ["node/fake-0", "node/fake-1"]
        machine.kubectl("create", "deployment", "web", "--image=none", "--replicas=4")
        machine.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    finally:
        machine.run("down")
    assert machine.processes() == []


def test_bad_usage_is_one_clear_line(machine: Machine) -> None:
    for arguments, message in (
        (("load", "nothing.tar"), "no node is up"),
        (("restart", "etcd"), "no cluster runs in"),
        (("kubeconfig",), "no cluster runs in"),
        (("logs", "etcd"), "no log of 'etcd'"),
    ):
        result = machine.run(*arguments, check=False)
        assert result.returncode == 1
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert machine.run("status", check=False).returncode == 3
    assert "nothing ran" in machine.run("down").stdout
