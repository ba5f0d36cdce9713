"""Killed at any moment or out of room: the next run ends where a clean one does, and nothing is left over."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.initenv.git_server import GitServer, Repository
from contract.initenv.harness import Pod
from contract.initenv.package_index import Hold, PackageIndex

from agent_api.initreport import InitFault


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Pod]:
    """A Pod whose volumes have 1 MiB together: a file system of that size."""
    pod = Pod(tmp_path / "small")
    pod.report = tmp_path / "report.json"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", pod.root], check=True)
    try:
        yield pod
    finally:
        subprocess.run(["umount", pod.root], check=True)


def whole_plan(pod: Pod, index: PackageIndex, server: GitServer) -> None:
    pod.plan(
        files=[{"path": "/shared/glue.py", "content": "print('glue')\n"}],
        code={"kind": "git", "repository": server.url("agent"), "revision": "main"},
        packages={"runtime": "python", "requirements": ["good"]},
        glue={"runtime": "python", "source": "/shared/glue.py"},
        setup=[{"name": "once", "command": ["sh", "-c", "mkdir once && sleep 0.3 && mkdir twice"]}],
        index={"pythonUrl": index.url},
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    Repository(tmp_path / "repositories" / "agent").commit(main_py="print(1)\n", src__lib_py="x = 1\n")
    with GitServer(tmp_path / "repositories") as running:
        yield running


@pytest.mark.parametrize("where, nth", [("git", 0), ("git", 1), ("/simple/good", 0), ("/files/good", 0)], ids=str)
def test_killed_while_a_server_answers(
    pod: Pod, tmp_path: Path, index: PackageIndex, server: GitServer, where: str, nth: int
) -> None:
    index.add_wheel("good", "1.0")
    hold = Hold()
    faulty = server if where == "git" else index
    faulty.fail("/agent" if where == "git" else where, *[Hold(release=_set()) for _ in range(nth)], hold)
    whole_plan(pod, index, server)
    running = pod.start()
    assert hold.reached.wait(30)
    running.kill()
    running.communicate(timeout=20)
    hold.release.set()
    _compare_with_a_clean_run(pod, Pod(tmp_path / "clean"), index, server)


@pytest.mark.parametrize("after_s", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0])
def test_killed_at_any_moment(pod: Pod, tmp_path: Path, index: PackageIndex, server: GitServer, after_s: float) -> None:
    index.add_wheel("good", "1.0")
    whole_plan(pod, index, server)
    running = pod.start()
    time.sleep(after_s)
    running.kill()
    running.communicate(timeout=20)
    _compare_with_a_clean_run(pod, Pod(tmp_path / "clean"), index, server)


def test_a_second_run_leaves_no_cache_either(pod: Pod, index: PackageIndex, server: GitServer) -> None:
    index.add_wheel("good", "1.0")
    whole_plan(pod, index, server)
    for _ in range(2):
        pod.run().prepared()
        assert not (pod.shared / ".agentberth/cache").exists()


def test_killed_in_the_middle_of_setup(pod: Pod, tmp_path: Path, index: PackageIndex, server: GitServer) -> None:
    index.add_wheel("good", "1.0")
    whole_plan(pod, index, server)
    running = pod.start()
    until = time.monotonic() + 30
    while not (pod.shared / "code/once").is_dir() and time.monotonic() < until:
        time.sleep(0.005)
    running.kill()
    running.communicate(timeout=20)
    assert not (pod.shared / "code/twice").exists()
    _compare_with_a_clean_run(pod, Pod(tmp_path / "clean"), index, server)


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def _compare_with_a_clean_run(pod: Pod, clean: Pod, index: PackageIndex, server: GitServer) -> None:
    whole_plan(clean, index, server)
    clean.run().prepared()
    pod.run().prepared()
    assert pod.tree() == clean.tree()
    assert sorted((pod.shared / ".agentberth").iterdir()) == sorted(
        pod.shared / ".agentberth" / path.name for path in (clean.shared / ".agentberth").iterdir()
    )
    again = pod.run()
    assert {step.outcome for step in again.report.steps} == {"unchanged"}


def test_a_full_disk_while_files_are_written(small: Pod) -> None:
    source = small.mount("files/big/key", b"x" * 600_000)
    small.plan(files=[{"path": "/shared/big", "source": source}])
    error = small.run().error(InitFault.DISK_FULL)
    assert error.step == "files"
    assert "left" in error.cause
    assert small.tree() == {}


def test_a_full_disk_while_code_is_copied(small: Pod) -> None:
    small.mount("code/a.py", b"x" * 300_000)
    small.mount("code/b.py", b"x" * 300_000)
    small.plan(code={"kind": "local", "folder": "/etc/agentberth/code"})
    error = small.run().error(InitFault.DISK_FULL)
    assert error.step == "code"
    assert small.tree() == {}


def test_a_full_disk_while_code_is_fetched(small: Pod, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "large")
    repository.commit(big="".join(f"{number * 7919 % 104729}\n" for number in range(400_000)))
    small.plan(code={"kind": "git", "repository": str(repository.folder), "revision": "main"})
    assert small.run().error(InitFault.DISK_FULL).step == "code"
    assert small.tree() == {}


def test_a_full_disk_while_packages_are_installed(small: Pod, index: PackageIndex, tmp_path: Path) -> None:
    index.add_wheel("large", "1.0", files={"large.py": f"X = '{'x' * 3_000_000}'\n"})
    small.plan(packages={"runtime": "python", "requirements": ["large"]}, index={"pythonUrl": index.url})
    outcome = small.run("--cache", str(tmp_path / "cache"))
    error = outcome.error(InitFault.DISK_FULL)
    assert error.step == "packages"
    assert "sizeLimit" in error.cure
    assert small.tree() == {}


def test_a_full_disk_while_setup_runs(small: Pod) -> None:
    small.plan(setup=[{"name": "fill", "command": ["dd", "if=/dev/zero", "of=big", "bs=64k", "count=64"]}])
    error = small.run().error(InitFault.DISK_FULL)
    assert error.step == "setup"
    assert "'fill'" in error.cause


def test_room_again_is_success(small: Pod) -> None:
    source = small.mount("files/big/key", b"x" * 400_000)
    filler = small.root / "filler"
    filler.write_bytes(b"x" * 500_000)
    small.plan(files=[{"path": "/shared/big", "source": source}])
    small.run().error(InitFault.DISK_FULL)
    filler.unlink()
    small.run().prepared()
    assert (small.shared / "big").stat().st_size == 400_000
    shutil.rmtree(small.shared)
