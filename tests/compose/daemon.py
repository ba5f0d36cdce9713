"""Docker for the tests: the daemon of this machine, else one of their own.

One of their own keeps to itself: its folder, no bridge, no firewall rules; so containers have the network of a
container or of the machine, or none. It is ended by its pid, and what it mounted is unmounted.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.place import give_up
from e2e.waiting import eventually

ROOT = Path(__file__).parents[2]
_STOP_S = 60
_PROGRAMS = ("docker", "dockerd", "buildah", "debootstrap")


@dataclass(frozen=True)
class Docker:
    """A docker command with a daemon, and compose."""

    environ: Mapping[str, str]
    compose_command: tuple[str, ...]
    own: bool
    """Whether the daemon is the tests' own, without networks."""

    def run(self, *arguments: str, check: bool = True) -> str:
        """What a docker command said on both streams. Fails the test with it when the command fails."""
        return self._run(("docker", *arguments), check=check)

    def compose(self, *arguments: str, check: bool = True, **environ: str) -> str:
        """The same for docker compose."""
        return self._run((*self.compose_command, *arguments), check=check, **environ)

    def _run(self, command: tuple[str, ...], *, check: bool, **environ: str) -> str:
        env = {**self.environ, **environ}
        done = subprocess.run(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-6000:]}", pytrace=False)
        return done.stdout


@contextmanager
def open_docker(folder: Path) -> Iterator[Docker]:
    """Docker for one session; `folder` is for a daemon of its own."""
    plugin = ("docker", "compose")
    if _says_yes("docker", "info") and _says_yes(*plugin, "version"):
        yield Docker(os.environ, plugin, own=False)
        return
    lacking = [name for name in _PROGRAMS if not shutil.which(name)]
    if os.geteuid() != 0 or lacking:
        give_up(f"compose tests need docker with compose, or root and {', '.join(lacking or _PROGRAMS)}")
    built = subprocess.run([str(ROOT / "hack/gotools/build"), "compose"], capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.fail(f"hack/gotools/build compose failed:\n{built.stderr[-4000:]}", pytrace=False)
    with _daemon(folder) as host:
        yield Docker({**os.environ, "DOCKER_HOST": host}, (built.stdout.strip(),), own=True)


def _says_yes(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def _daemon(folder: Path) -> Iterator[str]:
    """The address of a daemon that ends with the block."""
    address, log = f"unix://{folder}/sock", folder / "log"
    command = ("dockerd", "--host", address, "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec")
    apart = ("--pidfile", f"{folder}/pid", "--iptables=false", "--ip6tables=false", "--bridge=none")
    with log.open("w") as said:
        process = subprocess.Popen([*command, *apart], stdout=said, stderr=said, stdin=subprocess.DEVNULL)
    try:
        with _told(log):
            eventually(lambda: _answers(process, address), what="the docker daemon answers")
        yield address
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
        process.kill()
        process.wait()
        _unmount_below(folder)


def _answers(process: "subprocess.Popen[bytes]", address: str) -> bool:
    assert process.poll() is None, "dockerd has ended"
    return _says_yes("docker", "--host", address, "info")


@contextmanager
def _told(log: Path) -> Iterator[None]:
    """Adds the daemon's log to a failure."""
    try:
        yield
    except AssertionError as error:
        error.add_note(log.read_text()[-4000:])
        raise


def _unmount_below(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted(mounts, reverse=True):
        if Path(mount).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", mount], check=False)
