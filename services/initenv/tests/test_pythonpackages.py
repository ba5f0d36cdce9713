import subprocess
from pathlib import Path

from agent_initenv.installers.pythonpackages import rewrite_shebangs


def test_shebangs_of_scripts(tmp_path: Path) -> None:
    scripts = {
        "short": b"#!/init/bin/python3.13\nimport x\n",
        "long": b"#!/bin/sh\n'''exec' \"/very long/python\" \"$0\" \"$@\"\n' '''\nimport x\n",
        "shell": b"#!/bin/sh\necho\n",
        "binary": b"\x7fELF",
    }
    for name, content in scripts.items():
        (tmp_path / name).write_bytes(content)
    rewrite_shebangs(tmp_path)
    freed = b"#!/usr/bin/env python3\nimport x\n"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {**scripts, "short": freed, "long": freed}
    rewrite_shebangs(tmp_path / "nothing")
    assert subprocess.run(["sh", tmp_path / "shell"], check=True, capture_output=True).stdout == b"\n"
