"""`./run-tests.sh` says at once what a machine lacks, before it builds or installs anything."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "run-tests.sh"
NEEDED = ("bash", "dirname", "grep", "sed", "cat")


def stranger(folder: Path, **variables: str) -> dict[str, str]:
    """The environment of an ordinary user on a machine that has next to nothing."""
    for name in NEEDED:
        (folder / name).symlink_to(f"/usr/bin/{name}" if Path(f"/usr/bin/{name}").exists() else f"/bin/{name}")
    (folder / "id").write_text("#!/bin/sh\necho 1000\n")
    (folder / "id").chmod(0o755)
    return {"PATH": str(folder), "HOME": str(folder), **variables}


def run(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["/bin/bash", SCRIPT, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_an_ordinary_user_is_told_which_parts_run(tmp_path: Path) -> None:
    done = run(stranger(tmp_path), "plan")

    parts = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    assert parts["check"] == parts["unit"] == "runs"
    assert "needs the programs chromium" in parts["contract"]
    assert "openssl" in parts["integration"]
    assert "root" in parts["e2e"]
    assert "KUBECONFIG" in parts["e2e"]
    assert "docker daemon" in parts["compose"]


def test_with_a_cluster_of_their_own_nobody_needs_root(tmp_path: Path) -> None:
    done = run(stranger(tmp_path, KUBECONFIG="/somewhere"), "plan")

    assert "integration: runs" in done.stdout
    assert "e2e: runs" in done.stdout


@pytest.mark.parametrize("part", ["contract", "integration", "e2e", "compose", "step1"])
def test_a_part_that_cannot_run_ends_at_once(part: str, tmp_path: Path) -> None:
    done = run(stranger(tmp_path), part)

    assert done.returncode == 1
    assert f"error: {part} cannot run here:" in done.stderr
    assert done.stdout == ""


def test_the_script_and_the_setup_name_the_same_programs() -> None:
    (own,) = re.findall(r"^programs=\((.*)\)$", SCRIPT.read_text(), re.MULTILINE)
    (installed,) = re.findall(r"install_programs (chromium .*)$", (ROOT / "hack/bootstrap").read_text(), re.MULTILINE)

    assert own == installed
    assert os.access(SCRIPT, os.X_OK)
