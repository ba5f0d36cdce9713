"""Environments of the clients, made from the locks beside this file and kept between runs.

`python environments.py` makes all of them, `python environments.py NAME...` some. They lie in
~/.cache/agentberth/clients, or below AGENTBERTH_CACHE, in a folder named after the locks: a new lock makes new ones.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
LOCKS = ("pyproject.toml", "uv.lock", "package.json", "package-lock.json")
GROUPS = ("openai", "openai-agents", "google-adk", "langchain", "pydantic-ai", "instructor")
NODE = "node"
NAMES = (*GROUPS, NODE)
UV = HERE.parents[3] / ".tools" / "bin" / "uv"


def cache_folder() -> Path:
    base = os.environ.get("AGENTBERTH_CACHE") or str(Path.home() / ".cache" / "agentberth")
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in LOCKS)).hexdigest()[:16]
    return Path(base) / "clients" / digest


def prepare(name: str) -> Path:
    """The folder of environment `name`, made when it is not there. Raises RuntimeError that says what failed."""
    folder = cache_folder() / name
    with _alone(name):
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (_make_node if name == NODE else _make_python)(folder, name)
            (folder / ".complete").touch()
    return folder


def _make_python(folder: Path, group: str) -> None:
    environ = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(folder)}
    environ.pop("VIRTUAL_ENV", None)
    arguments = ["sync", "--quiet", "--frozen", "--project", str(HERE), "--only-group", group]
    _run([str(UV if UV.exists() else "uv"), *arguments], environ, folder)


def _make_node(folder: Path, _: str) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    _run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], dict(os.environ), folder)


def _run(command: list[str], environ: dict[str, str], folder: Path) -> None:
    ended = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{ended.stdout[-2000:]}{ended.stderr[-4000:]}")


@contextmanager
def _alone(name: str) -> Iterator[None]:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for wanted in sys.argv[1:] or NAMES:
        sys.stderr.write(f"setup: clients of the gateway, {wanted}\n")
        prepare(wanted)
