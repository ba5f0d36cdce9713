import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract.initenv.git_server import GitServer, Repository
from contract.initenv.harness import Pod
from contract.initenv.package_index import RESET, Fault

from agent_api.initreport import InitFault


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repositories" / "agent")


@pytest.fixture
def server(tmp_path: Path, repository: Repository) -> Iterator[GitServer]:
    with GitServer(tmp_path / "repositories") as running:
        yield running


def plan(pod: Pod, url: str, revision: str = "main", **more: Any) -> None:
    pod.plan(code={"kind": "git", "repository": url, "revision": revision, **more})


def main_py(pod: Pod) -> str:
    return (pod.shared / "code/main.py").read_text()


def test_a_branch_a_tag_and_a_commit(pod: Pod, repository: Repository, server: GitServer) -> None:
    first = repository.commit(main_py="one")
    repository.git("tag", "v1")
    second = repository.commit(main_py="two")
    repository.git("tag", "--annotate", "--message=two", "v2")
    third = repository.commit(main_py="three")
    for revision, commit, content in (
        ("main", third, "three"),
        ("v1", first, "one"),
        ("v2", second, "two"),
        (second, second, "two"),
        ("refs/tags/v1", first, "one"),
        ("HEAD", third, "three"),
    ):
        plan(pod, server.url("agent"), revision)
        assert pod.run().prepared().steps[0].detail == f"commit {commit}"
        assert main_py(pod) == content
        assert pod.run().step("code") == "unchanged"
    assert not (pod.shared / "code/.git").exists()


def test_only_the_one_revision_is_fetched(pod: Pod, repository: Repository, server: GitServer) -> None:
    repository.commit(big="".join(f"{number * 7919 % 104729}\n" for number in range(200_000)))
    repository.git("rm", "--quiet", "big")
    repository.commit(main_py="small")
    plan(pod, server.url("agent"))
    pod.run().prepared()
    assert server.sent_bytes < 20_000


def test_a_moved_branch_is_fetched_again(pod: Pod, repository: Repository, server: GitServer) -> None:
    repository.commit(main_py="one", gone_py="")
    plan(pod, server.url("agent"))
    pod.run().prepared()
    repository.git("rm", "--quiet", "gone.py")
    moved = repository.commit(main_py="two")
    outcome = pod.run()
    assert outcome.step("code") == "done"
    assert moved in outcome.report.steps[0].detail
    assert main_py(pod) == "two"
    assert not (pod.shared / "code/gone.py").exists()


def test_a_commit_id_is_asked_for_only_once(pod: Pod, repository: Repository, server: GitServer) -> None:
    commit = repository.commit(main_py="one")
    plan(pod, server.url("agent"), commit)
    pod.run().prepared()
    server.requests.clear()
    assert pod.run().step("code") == "unchanged"
    assert server.requests == []


@pytest.mark.parametrize("length", [40, 10])
def test_a_server_that_refuses_commit_ids(pod: Pod, tmp_path: Path, repository: Repository, length: int) -> None:
    commit = repository.commit(main_py="one")
    repository.commit(main_py="two")
    repository.git("config", "uploadpack.allowReachableSHA1InWant", "false")
    with GitServer(tmp_path / "repositories", protocol="version=0") as old:
        plan(pod, old.url("agent"), commit[:length])
        assert pod.run().prepared().steps[0].detail == f"commit {commit}"
    assert main_py(pod) == "one"


@pytest.mark.parametrize("path", ["/src", "src", "src/"])
def test_a_folder_of_the_repository(pod: Pod, repository: Repository, server: GitServer, path: str) -> None:
    repository.commit(src__main_py="inner", other="outer")
    plan(pod, server.url("agent"), path=path)
    pod.run().prepared()
    assert main_py(pod) == "inner"
    assert not (pod.shared / "code/other").exists()


@pytest.mark.parametrize(
    "more, fault, named",
    [
        ({"path": "../.."}, InitFault.PATH_ESCAPES, "'../..'"),
        ({"path": "nothere"}, InitFault.CODE_NOT_FOUND, "'nothere'"),
        ({"path": "out"}, InitFault.PATH_ESCAPES, "'out'"),
        ({"path": ".git"}, InitFault.PATH_ESCAPES, "'.git'"),
        ({"revision": "nothere"}, InitFault.REVISION_NOT_FOUND, "nothere"),
        ({"revision": "0" * 40}, InitFault.REVISION_NOT_FOUND, "0" * 40),
        ({"revision": "--upload-pack=touch"}, InitFault.PLAN_INVALID, "--upload-pack"),
        ({"revision": "+main:main"}, InitFault.PLAN_INVALID, "+main:main"),
        ({"repository": "-x"}, InitFault.PLAN_INVALID, "-x"),
        ({"repository": "ext::sh -c id"}, InitFault.PLAN_INVALID, "ext::"),
        ({"repository": "ftp://127.0.0.1/x"}, InitFault.PLAN_INVALID, "ftp://"),
        ({"repository": "/nowhere/at/all"}, InitFault.CODE_NOT_FOUND, "/nowhere/at/all"),
    ],
)
def test_what_cannot_be_fetched(
    pod: Pod, repository: Repository, server: GitServer, more: dict[str, str], fault: InitFault, named: str
) -> None:
    (repository.folder / "out").symlink_to("/etc")
    repository.commit(src__main_py="inner")
    plan(pod, **{"url": server.url("agent"), **{("url" if k == "repository" else k): v for k, v in more.items()}})
    outcome = pod.run()
    error = outcome.error(fault)
    assert error.step == "code"
    assert named in error.cause
    assert outcome.report.steps[0].attempts == 1
    assert pod.tree() == {}


def test_a_repository_that_does_not_exist(pod: Pod, server: GitServer) -> None:
    plan(pod, server.url("nothere"))
    assert "nothere" in pod.run().error(InitFault.CODE_NOT_FOUND).cause


@pytest.fixture
def with_submodule(tmp_path: Path, repository: Repository) -> Repository:
    inner = Repository(tmp_path / "repositories" / "inner")
    inner.commit(inner_py="inner")
    repository.commit(main_py="outer")
    allowed = ("-c", "protocol.file.allow=always")
    repository.git(*allowed, "submodule", "--quiet", "add", str(inner.folder / ".git"), "lib/inner")
    repository.git("config", "--file", ".gitmodules", "submodule.lib/inner.url", "../../inner/.git")
    repository.commit()
    return repository


def test_submodules_on_request(pod: Pod, with_submodule: Repository, server: GitServer) -> None:
    plan(pod, server.url("agent"), submodules=True)
    pod.run().prepared()
    assert (pod.shared / "code/lib/inner/inner.py").read_text() == "inner"
    assert not [place for place in pod.tree() if place.endswith(".git")]


def test_submodules_that_are_not_asked_for_are_told(pod: Pod, with_submodule: Repository, server: GitServer) -> None:
    plan(pod, server.url("agent"))
    outcome = pod.run()
    assert "set code.source.submodules: true" in outcome.prepared().steps[0].detail
    assert "submodules are not fetched" in outcome.stderr


def test_a_submodule_by_another_protocol_is_refused(pod: Pod, with_submodule: Repository, server: GitServer) -> None:
    url = str(with_submodule.folder.parent / "inner/.git")
    with_submodule.git("config", "--file", ".gitmodules", "submodule.lib/inner.url", url)
    with_submodule.commit()
    plan(pod, server.url("agent"), submodules=True)
    assert pod.run().code == 1
    assert not (pod.shared / "code").exists()


def test_pointers_of_git_lfs_are_told(pod: Pod, repository: Repository, server: GitServer) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    repository.commit(main_py="x", model=pointer)
    plan(pod, server.url("agent"))
    detail = pod.run().prepared().steps[0].detail
    assert "content of Git LFS is not fetched, 1 of its pointers" in detail
    assert "set code.source.lfs: true" in detail


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../outside"])
def test_a_link_that_leaves_the_code(pod: Pod, repository: Repository, server: GitServer, target: str) -> None:
    (repository.folder / "link").symlink_to(target)
    repository.commit(main_py="one")
    plan(pod, server.url("agent"))
    error = pod.run().error(InitFault.PATH_ESCAPES)
    assert "link" in error.cause
    assert target in error.cause
    assert pod.tree() == {}


def test_a_link_inside_the_code_is_kept(pod: Pod, repository: Repository, server: GitServer) -> None:
    (repository.folder / "link.py").symlink_to("main.py")
    repository.commit(main_py="one")
    plan(pod, server.url("agent"))
    pod.run().prepared()
    assert (pod.shared / "code/link.py").readlink() == Path("main.py")


@pytest.mark.parametrize("faults", [(503, 503), (RESET,), (429,)], ids=["503", "reset", "429"])
def test_a_flaky_server_is_tried_again(
    pod: Pod, repository: Repository, server: GitServer, faults: tuple[Fault, ...]
) -> None:
    repository.commit(main_py="one")
    server.fail("/agent", *faults)
    plan(pod, server.url("agent"))
    assert pod.run().prepared().steps[0].attempts == len(faults) + 1
    server.fail("/agent", *faults)
    assert pod.run().prepared().steps[0].attempts == len(faults) + 1


def test_a_local_repository_of_another_user(pod: Pod, repository: Repository) -> None:
    commit = repository.commit(main_py="one")
    subprocess.run(["chown", "-R", "12345", repository.folder], check=True)
    for url in (str(repository.folder), f"file://{repository.folder}"):
        plan(pod, url)
        assert commit in pod.run().prepared().steps[0].detail


class TestCredentials:
    @pytest.fixture(autouse=True)
    def _closed(self, repository: Repository, server: GitServer) -> None:
        repository.commit(main_py="one")
        server.credentials = ("reader", "canary-1")

    def test_of_the_secret_are_used_and_never_shown(self, pod: Pod, server: GitServer) -> None:
        pod.mount("git/username", "reader\n")
        pod.mount("git/password", "canary-1\n")
        plan(pod, server.url("agent"), credentials="/etc/agentberth/git")
        outcome = pod.run()
        outcome.prepared()
        assert main_py(pod) == "one"
        assert "canary" not in outcome.stdout + outcome.stderr

    def test_that_are_wrong(self, pod: Pod, server: GitServer) -> None:
        pod.mount("git/password", "canary-2")
        plan(pod, server.url("agent"), credentials="/etc/agentberth/git")
        outcome = pod.run()
        assert outcome.error(InitFault.ACCESS_DENIED).step == "code"
        assert outcome.report.steps[0].attempts == 1
        assert "canary" not in outcome.stdout + outcome.stderr

    def test_that_are_missing(self, pod: Pod, server: GitServer) -> None:
        plan(pod, server.url("agent"))
        pod.run().error(InitFault.ACCESS_DENIED)

    def test_in_the_url_are_refused(self, pod: Pod, server: GitServer) -> None:
        plan(pod, server.url("agent").replace("//", "//reader:canary-1@"))
        outcome = pod.run()
        assert "credentialsSecret" in outcome.error(InitFault.PLAN_INVALID).cure
        assert "canary" not in outcome.stdout + outcome.stderr

    def test_are_not_given_to_the_host_of_a_redirect(self, pod: Pod, tmp_path: Path, server: GitServer) -> None:
        with GitServer(tmp_path / "repositories") as first:
            first.redirect_to = server.origin
            pod.mount("git/username", "reader")
            pod.mount("git/password", "canary-1")
            plan(pod, first.url("agent"), credentials="/etc/agentberth/git")
            pod.run().error(InitFault.ACCESS_DENIED)
            assert first.requests
        assert server.requests
        assert server.seen_authorisations == []


def test_ssh_gets_the_key_and_the_known_hosts(pod: Pod, tmp_path: Path) -> None:
    """The transport is what is told to ssh: a program in its place writes it down and denies access."""
    record = tmp_path / "record"
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {record}\n'
        f'while [ "$1" != -i ]; do shift; done\nstat -c %a "$2" >> {record}\ncat "$2" >> {record}\n'
        "echo 'git@127.0.0.1: Permission denied (publickey).' >&2\nexit 255\n"
    )
    ssh.chmod(0o755)
    pod.env = {"PATH": f"{ssh.parent}:/usr/bin:/bin"}
    pod.mount("git/ssh-privatekey", "canary-key")
    known = pod.mount("git/known_hosts", "127.0.0.1 ssh-ed25519 AAAA")
    plan(pod, "git@127.0.0.1:group/agent.git", credentials="/etc/agentberth/git")
    outcome = pod.run()
    outcome.error(InitFault.ACCESS_DENIED)
    told = record.read_text().splitlines()
    assert {"IdentitiesOnly=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={pod.root}{known}"} <= set(told)
    assert told[-2:] == ["600", "canary-key"]
    assert "canary" not in outcome.stdout + outcome.stderr
    (pod.root / known.lstrip("/")).unlink()
    again = pod.run()
    assert "StrictHostKeyChecking=accept-new" in record.read_text()
    assert "no known_hosts" in again.stderr
