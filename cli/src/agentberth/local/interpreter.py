"""The runtime of a code agent on this machine: the version asked for, or the nearest there is."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from agent_api.initplan import Runtime
from agentberth.errors import CommandError

_PROBES = {
    "python": (
        "-c",
        "import sys; print(sys._base_executable or sys.executable); print('%d.%d' % sys.version_info[:2])",
    ),
    "nodejs": ("-e", "console.log(process.execPath); console.log(process.versions.node.split('.')[0])"),
}


@dataclass(frozen=True)
class Interpreter:
    """A runtime that is installed here. `version` is major.minor for python, the major for nodejs."""

    runtime: Runtime
    program: str
    version: str

    def serves(self, wanted: str | None) -> bool:
        """True when this is the version asked for."""
        return wanted is None or f"{wanted}.".startswith(f"{self.version}.") or self.version.startswith(f"{wanted}.")


def find(runtime: Runtime, wanted: str | None) -> Interpreter:
    """The interpreter for `wanted`, else any: the packages are then prepared for that one.

    Raises CommandError when there is none at all.
    """
    fallback: Interpreter | None = None
    for program in _candidates(runtime, wanted):
        found = _probe(runtime, program)
        if found and found.serves(wanted):
            return found
        fallback = fallback or found
    if fallback is None:
        raise CommandError(f"no {runtime} runtime is on the PATH", cure=f"install {runtime}, or add it to the PATH")
    return fallback


def _candidates(runtime: Runtime, wanted: str | None) -> Iterator[str]:
    if runtime == "nodejs":
        yield from filter(None, (shutil.which(name) for name in ("node", "nodejs")))
        return
    if wanted:
        minor = ".".join(wanted.split(".")[:2])
        yield from filter(None, (shutil.which(f"python{minor}"), _known_to_uv(minor)))
    yield sys.executable


def _known_to_uv(version: str) -> str | None:
    """An interpreter that is installed but not on the PATH; uv knows where version managers keep theirs."""
    uv = shutil.which("uv") or _beside_us("uv")
    return _output((uv, "python", "find", "--no-project", "--no-python-downloads", version)) if uv else None


def _beside_us(program: str) -> str | None:
    return shutil.which(program, path=str(sys.executable.rpartition("/")[0]))


def _probe(runtime: Runtime, program: str) -> Interpreter | None:
    """What `program` is. A virtual environment's python is followed to its base, so that ours never leaks in."""
    lines = (_output((program, *_PROBES[runtime])) or "").splitlines()
    return Interpreter(runtime, lines[0], lines[1]) if len(lines) == 2 else None


def _output(command: tuple[str, ...]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
