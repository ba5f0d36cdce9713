"""Runs `agent-initenv` as the process that it is, against a folder that stands for the Pod's volumes."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from contract import podroot
from contract.podroot import PodRoot

from agent_api.initplan import InitPlan
from agent_api.initreport import InitError, InitFault, InitReport
from agent_api.layout import INITENV_UID

PROGRAM = str(Path(sys.executable).with_name("agent-initenv"))
FAST = {"backoffSeconds": 0.01}


@dataclass(frozen=True)
class Outcome:
    """What a run left for its caller."""

    code: int
    report: InitReport
    stdout: str
    stderr: str

    def error(self, fault: InitFault) -> InitError:
        """The error of a run that failed with `fault`."""
        assert self.report.error is not None, self.stderr
        assert self.report.error.fault == fault, self.report.error
        assert self.report.outcome == "failed"
        assert self.code != 0
        assert self.report.error.cause
        assert self.report.error.cure
        assert "Traceback" not in self.stderr
        return self.report.error

    def prepared(self) -> InitReport:
        """The report of a run that succeeded."""
        assert self.code == 0, self.stderr
        assert self.report.outcome == "succeeded"
        return self.report

    def step(self, name: str) -> str:
        """What became of a step."""
        return next(step.outcome for step in self.report.steps if step.name == name)


class Pod:
    """A folder with the Pod's mounts below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shared = root / "shared"
        self.report = root / "report.json"
        self.env: dict[str, str] = {}
        root.mkdir(parents=True)
        self._shown: tuple[Path, ...] = ()
        self._container: PodRoot | None = None

    def in_a_pod(self) -> Self:
        """Run it with the user, the volumes and the read-only root of a Pod, where this machine can."""
        if podroot.is_available():
            empty = self.root.with_name(f"{self.root.name}-rootfs")
            empty.mkdir()
            self._container = PodRoot(INITENV_UID, self.root, empty)
            for folder in (self.shared, self.root / "tmp"):
                folder.mkdir(exist_ok=True)
                podroot.make_volume(folder)
            self.report.touch()
            self.report.chmod(0o666)  # the kubelet's termination log
            for path in self.root.glob("etc/**/*"):
                if path.is_file():
                    podroot.mount_file(path)
        return self

    def show(self, folder: Path) -> None:
        """Let it see a folder of the test's own."""
        self._shown = (*self._shown, folder)

    def mount(self, path: str, content: str | bytes) -> str:
        """Put a file below /etc/agentberth; its path in the Pod."""
        pod_path = f"/etc/agentberth/{path}"
        place = self.root / pod_path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        if self._container is not None:
            podroot.mount_file(place)
        return pod_path

    def plan(self, **parts: Any) -> None:
        """Write a valid plan; names are those of the JSON."""
        document = {"agent": "tested", "limits": FAST, **parts}
        InitPlan.model_validate(document)
        self.mount("init/init.json", json.dumps(document))

    def command(self, *more: str) -> list[str]:
        command = [PROGRAM, "--root", str(self.root), "--report", str(self.report), *more]
        return self._container.wrap(command, *self._shown) if self._container else command

    def environment(self) -> dict[str, str]:
        coverage = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        return {"PATH": os.environ["PATH"], **coverage, **self.env}

    def run(self, *more: str) -> Outcome:
        """Run to the end, and hold the report to the contract."""
        done = subprocess.run(
            self.command(*more), env=self.environment(), capture_output=True, text=True, timeout=90, check=False
        )
        assert done.stdout.count("\n") == 1, done
        assert self.report.read_text() == done.stdout
        assert len(done.stdout.encode()) <= 4097
        report = InitReport.model_validate_json(done.stdout)
        leftovers = [*(self.shared / ".agentberth").glob("staging/*"), *self.root.glob("tmp/agentberth-init-*")]
        assert leftovers == []
        return Outcome(done.returncode, report, done.stdout, done.stderr)

    def start(self, *more: str) -> "subprocess.Popen[str]":
        """Start it, for a test that ends it."""
        return subprocess.Popen(
            self.command(*more),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tree(self) -> Mapping[str, tuple[str, str]]:
        """Mode and content of everything under /shared, but for times and the own folder."""
        found = {}
        for path in sorted(self.shared.rglob("*")):
            place = str(path.relative_to(self.shared))
            if not place.startswith(".agentberth"):
                found[place] = (stat.filemode(path.lstat().st_mode), _content(path))
        return found


def _content(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
