import subprocess
from pathlib import Path

from compose.daemon import ROOT


def test_actionlint_finds_nothing_in_the_workflows() -> None:
    command = [str(ROOT / "hack/gotools/build"), "actionlint"]
    built = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    files = sorted(map(str, Path(ROOT).glob(".github/workflows/*.yml")))

    linted = subprocess.run([built.stdout.strip(), "-no-color", *files], capture_output=True, text=True, check=False)

    assert linted.stdout + linted.stderr == ""
    assert linted.returncode == 0
