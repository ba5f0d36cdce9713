"""The runtime of a code agent on this machine: the version asked for, or the nearest there is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from agent_api.initplan import Runtime
from agent_base.programfault import summarise
from agent_base.removal import remove_tree
from agentberth.errors import CommandError

_PROBES = {
    "python": (
        "-c",
        "import sys; print(sys._base_executable or sys.executable); print('%d.%d' % sys.version_info[:2])",
    ),
    "nodejs": ("-e", "console.log(process.execPath); console.log(process.versions.node.split('.')[0])"),
}
_PROBE_S: Final = 20.0
_DOWNLOAD_S: Final = 180.0
_MADE_FOR: Final = "made-for"


@dataclass(frozen=True)
class Interpreter:
    """A runtime that is installed here. `version` is major.minor for python, the major for nodejs."""

    runtime: Runtime
    program: str
    version: str
    limitations: str = ""
    """How it differs from what was asked for, as a sentence."""

    def serves(self, wanted: str | None) -> bool:
        """True when this is the version asked for."""
        return wanted is None or f"{wanted}.".startswith(f"{self.version}.") or self.version.startswith(f"{wanted}.")


def find(runtime: Runtime, wanted: str | None) -> Interpreter:
    """The interpreter for `wanted`, fetched by uv if need be, else any: the packages are then prepared for that one.

    Raises CommandError when there is none at all.
    """
    fallback: Interpreter | None = None
    for program in _candidates(runtime, wanted):
        found = _probe(runtime, program)
        if found and found.serves(wanted):
            return found
        fallback = fallback or found
    fetched, why_not = _fetch(wanted) if runtime == "python" and wanted else (None, "install it")
    if fetched:
        return fetched
    if fallback is None:
        raise CommandError(f"no {runtime} runtime is on the PATH", cure=f"install {runtime}, or add it to the PATH")
    differs = f"{runtime} {wanted} is not installed here, so {fallback.version} is used: {why_not}"
    return replace(fallback, limitations=differs)


def isolate(interpreter: Interpreter, folder: Path) -> Interpreter:
    """`interpreter` without the packages that are installed for it here: a virtual environment in `folder`.

    Node needs none, as it looks for packages beside the code alone.
    """
    if interpreter.runtime != "python":
        return interpreter
    program = folder / "bin" / "python"
    mark = folder / _MADE_FOR
    made_for = f"{interpreter.program} {Path(interpreter.program).stat().st_mtime_ns}"
    if not program.exists() or not mark.is_file() or mark.read_text() != made_for:
        remove_tree(folder)
        _, fault = _run((interpreter.program, "-I", "-m", "venv", "--without-pip", str(folder)), _PROBE_S)
        if fault:
            differs = f"the packages of {interpreter.program} are visible to the agent: {fault}"
            return replace(interpreter, limitations="; ".join(filter(None, (interpreter.limitations, differs))))
        mark.write_text(made_for)
    return replace(interpreter, program=str(program))


def _candidates(runtime: Runtime, wanted: str | None) -> Iterator[str]:
    if runtime == "nodejs":
        yield from filter(None, (shutil.which(name) for name in ("node", "nodejs")))
        return
    if wanted:
        minor = _minor(wanted)
        yield from filter(None, (shutil.which(f"python{minor}"), _known_to_uv(minor)))
    yield sys.executable


def _known_to_uv(version: str) -> str | None:
    """An interpreter that is installed but not on the PATH; uv knows where version managers keep theirs."""
    uv = _uv()
    return _output((uv, "python", "find", "--no-project", "--no-python-downloads", version)) if uv else None


def _fetch(wanted: str) -> tuple[Interpreter | None, str]:
    """Python `wanted` from where uv gets it, or why not. UV_PYTHON_DOWNLOADS=never is respected."""
    uv, minor = _uv(), _minor(wanted)
    cure = f"`uv python install {minor}` brings it"
    if uv is None:
        return None, cure
    _, fault = _run((uv, "python", "install", "--no-progress", "--no-bin", minor), _DOWNLOAD_S)
    if fault:
        return None, f"uv could not bring it ({fault})"
    program = _known_to_uv(minor)
    found = _probe("python", program) if program else None
    return (found, "") if found and found.serves(wanted) else (None, cure)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _uv() -> str | None:
    return shutil.which("uv") or shutil.which("uv", path=str(sys.executable.rpartition("/")[0]))


def _probe(runtime: Runtime, program: str) -> Interpreter | None:
    """What `program` is. A virtual environment's python is followed to its base, so that ours never leaks in."""
    lines = (_output((program, *_PROBES[runtime])) or "").splitlines()
    return Interpreter(runtime, lines[0], lines[1]) if len(lines) == 2 else None


def _output(command: tuple[str, ...]) -> str | None:
    output, fault = _run(command, _PROBE_S)
    return None if fault else output


def _run(command: tuple[str, ...], timeout_s: float) -> tuple[str, str]:
    """What the program prints, and what went wrong; "" when nothing did."""
    environment = {"UV_HTTP_RETRIES": "0", **os.environ}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False, env=environment, errors="replace"
        )
    except OSError as error:
        return "", f"{command[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return "", f"not within {timeout_s:.0f} s"
    return done.stdout.strip(), summarise(done.stderr) if done.returncode else ""
