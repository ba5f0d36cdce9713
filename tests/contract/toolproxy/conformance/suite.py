"""Runs the official conformance suite, as it is, against a URL, and reads what it found.

The packages are installed from the lock beside this file into ~/.cache/agentberth/conformance, or below
AGENTBERTH_CACHE, in a folder named after the lock. `python suite.py` only installs them.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).parent
LOCKS = ("package.json", "package-lock.json")
Release = Literal["stable", "newest"]
_INSTALL_S = 300


@dataclass(frozen=True)
class Check:
    """One check of a scenario. `status` is SUCCESS, FAILURE, WARNING, SKIPPED or INFO."""

    scenario: str
    name: str
    status: str
    message: str

    @property
    def key(self) -> str:
        return f"{self.scenario}:{self.name}"


def install() -> Path:
    """The folder of the packages, made when it is not there."""
    base = Path(os.environ.get("AGENTBERTH_CACHE") or Path.home() / ".cache" / "agentberth") / "conformance"
    folder = base / hashlib.sha256(b"".join((HERE / name).read_bytes() for name in LOCKS)).hexdigest()[:16]
    base.mkdir(parents=True, exist_ok=True)
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name in LOCKS:
                shutil.copy(HERE / name, folder)
            command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_INSTALL_S)
            (folder / ".complete").touch()
    return folder


async def run(release: Release, url: str, output: Path, *arguments: str) -> list[Check]:
    """What the server at `url` passes and fails."""
    folder = await asyncio.to_thread(install)
    program = folder / f"node_modules/conformance-{release}/dist/index.js"
    command = [str(folder / "node_modules/.bin/node"), str(program), "server", "--url", url, "-o", str(output)]
    process = await asyncio.create_subprocess_exec(
        *command, *arguments, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    text, _ = await process.communicate()
    checks = await asyncio.to_thread(_read_all, output)
    if not checks:
        raise AssertionError(f"the suite ran nothing:\n{text.decode()[-2000:]}")
    return checks


def _read_all(output: Path) -> list[Check]:
    return [check for each in sorted(output.glob("server-*/checks.json")) for check in _read(each)]


def _read(path: Path) -> list[Check]:
    found: list[dict[str, Any]] = json.loads(path.read_text())
    scenario = path.parent.name.removeprefix("server-").rsplit("-20", 1)[0]
    return [Check(scenario, each["id"], each["status"], str(each.get("errorMessage") or "")) for each in found]


if __name__ == "__main__":
    sys.stderr.write("setup: the conformance suite of MCP\n")
    install()
