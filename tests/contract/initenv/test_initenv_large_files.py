"""Files of Git LFS, fetched by git-lfs from a server that speaks its batch API, honestly or not."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from contract.initenv.git_server import GitServer, Repository
from contract.initenv.harness import Pod

from agent_api.initreport import InitFault

CONTENT = b"weights of a model " * 1000


class LargeFileServer(GitServer):
    """A git server with the LFS server that goes with it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.objects: dict[str, bytes] = {}
        self.batches: list[str] = []

    def answer(
        self, path: str, headers: Mapping[str, str], method: str = "GET", body: bytes = b""
    ) -> tuple[int, str, bytes]:
        """Of a batch: where each object is. Below /objects: its content."""
        if path.endswith("/info/lfs/objects/batch"):
            self.batches.append(path)
            wanted = [each["oid"] for each in json.loads(body)["objects"]]
            return 200, "application/vnd.git-lfs+json", json.dumps({"objects": list(map(self._place, wanted))}).encode()
        if path.startswith("/objects/"):
            return 200, "application/octet-stream", self.objects[path.rpartition("/")[2]]
        return super().answer(path, headers, method, body)

    def _place(self, oid: str) -> dict[str, object]:
        if oid not in self.objects:
            return {"oid": oid, "size": 1, "error": {"code": 404, "message": "there is no such object"}}
        return {"oid": oid, "size": 1, "actions": {"download": {"href": f"{self.origin}/objects/{oid}"}}}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repositories" / "agent")


@pytest.fixture
def server(tmp_path: Path, repository: Repository) -> Iterator[LargeFileServer]:
    with LargeFileServer(tmp_path / "repositories") as running:
        running.objects[oid_of(CONTENT)] = CONTENT
        repository.commit(main_py="x", **{".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
        yield running


def oid_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pointer(oid: str, size_bytes: int) -> str:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size_bytes}\n"


def plan(pod: Pod, server: LargeFileServer, **more: object) -> None:
    source = {"kind": "git", "repository": server.url("agent"), "revision": "main", "lfs": True, **more}
    pod.plan(code=source)


def test_large_files_are_in_the_place_of_their_pointers(
    pod: Pod, repository: Repository, server: LargeFileServer
) -> None:
    for name in ("model.bin", "src__again.bin"):
        repository.commit(**{name: pointer(oid_of(CONTENT), len(CONTENT))})
    plan(pod, server)

    detail = pod.run().prepared().steps[0].detail

    assert "LFS" not in detail
    assert (pod.shared / "code/model.bin").read_bytes() == CONTENT
    assert (pod.shared / "code/src/again.bin").read_bytes() == CONTENT
    assert not [place for place in pod.tree() if ".git/" in place]
    assert pod.run().step("code") == "unchanged"


def test_files_that_the_repository_leaves_out_are_fetched_too(
    pod: Pod, repository: Repository, server: LargeFileServer
) -> None:
    repository.commit(**{".lfsconfig": "[lfs]\n\tfetchexclude = *.bin\n\tfetchinclude = other\n"})
    repository.commit(**{"model.bin": pointer(oid_of(CONTENT), len(CONTENT))})
    plan(pod, server)
    pod.run().prepared()

    assert (pod.shared / "code/model.bin").read_bytes() == CONTENT


def test_a_file_that_only_begins_as_a_pointer_stays_as_it_is(
    pod: Pod, repository: Repository, server: LargeFileServer
) -> None:
    text = f"{pointer(oid_of(CONTENT), len(CONTENT))}and more\n"
    repository.commit(**{"notes.txt": text})
    plan(pod, server)
    pod.run().prepared()

    assert (pod.shared / "code/notes.txt").read_text() == text
    assert server.batches == []


def test_files_of_one_content_keep_their_own_modes(pod: Pod, repository: Repository, server: LargeFileServer) -> None:
    for name in ("a.bin", "b.bin"):
        (repository.folder / name).write_text(pointer(oid_of(CONTENT), len(CONTENT)))
    (repository.folder / "b.bin").chmod(0o755)
    repository.commit(**{"c.bin": pointer(oid_of(CONTENT), len(CONTENT))})
    plan(pod, server)
    pod.run().prepared()

    modes = [(pod.shared / "code" / name).stat().st_mode & 0o111 for name in ("a.bin", "b.bin", "c.bin")]
    assert modes == [0, 0o111, 0]
    assert (pod.shared / "code/b.bin").read_bytes() == CONTENT


def test_the_repository_cannot_name_another_server(
    pod: Pod, repository: Repository, server: LargeFileServer, tmp_path: Path
) -> None:
    with LargeFileServer(tmp_path / "repositories") as other:
        repository.commit(**{".lfsconfig": f"[lfs]\n\turl = {other.origin}/info/lfs\n"})
        repository.commit(**{"model.bin": pointer(oid_of(CONTENT), len(CONTENT))})
        plan(pod, server)
        pod.run().prepared()

        assert other.batches == []
        assert server.batches == ["/agent/.git/info/lfs/objects/batch"]


def test_a_link_of_the_repository_leads_no_large_file_out(
    pod: Pod, repository: Repository, server: LargeFileServer, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text(pointer(oid_of(CONTENT), len(CONTENT)))
    (repository.folder / "model.bin").symlink_to(outside)
    repository.commit(**{"real.bin": pointer(oid_of(CONTENT), len(CONTENT))})
    plan(pod, server)

    pod.run().error(InitFault.PATH_ESCAPES)

    assert outside.stat().st_size < len(CONTENT)


@pytest.mark.parametrize(
    "text, served, fault",
    [
        pytest.param(pointer("0" * 64, 5), None, None, id="absent"),
        pytest.param(pointer("1" * 64, 5), b"other", None, id="another content"),
        pytest.param(pointer("2" * 64, 5), b"x" * (4 << 20), None, id="more than was said"),
        pytest.param(pointer("3" * 64, 10**14), None, InitFault.DISK_FULL, id="larger than the disk"),
        pytest.param(pointer(oid_of(CONTENT), 5), None, None, id="a size that is wrong"),
    ],
)
def test_what_is_not_there_or_not_what_was_said_is_an_error(
    pod: Pod, repository: Repository, server: LargeFileServer, text: str, served: bytes | None, fault: InitFault | None
) -> None:
    if served is not None:
        server.objects[text.partition("sha256:")[2][:64]] = served
    repository.commit(**{"model.bin": text})
    plan(pod, server)

    outcome = pod.run()

    assert outcome.code == 1
    assert outcome.report.error is not None
    assert "LFS" in outcome.report.error.cause
    assert fault is None or outcome.report.error.fault == fault
    assert pod.tree() == {}


def test_without_git_lfs_that_is_said(
    pod: Pod, repository: Repository, server: LargeFileServer, tmp_path: Path
) -> None:
    repository.commit(**{"model.bin": pointer(oid_of(CONTENT), len(CONTENT))})
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "sh"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    pod.env["PATH"] = str(programs)
    plan(pod, server)

    assert "git-lfs" in pod.run().error(InitFault.PROGRAM_MISSING).cause
