import contextlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from testcluster import bootstrap
from testcluster.build import COMPONENTS, Programs, Toolchain, kubernetes_version, merge_stages, version_flags
from testcluster.cache import cache_dir, digest, locked, read_tree, replace_text
from testcluster.errors import BuildError, MissingProgramError, UsageError
from testcluster.options import UpOptions, find_or_build, wanted_programs

FAKE_GO = """\
#!{python}
import os, pathlib, sys
arguments = sys.argv[1:]
with open({calls!r}, "a") as calls:
    calls.write(arguments[0] + " " + arguments[-1] + "\\n")
if os.environ.get("FAKE_GO_FAILS"):
    print("main.go:1: no such thing")
    sys.exit(1)
if arguments[0] == "build":
    target = pathlib.Path(arguments[arguments.index("-o") + 1])
else:
    target = pathlib.Path(os.environ["GOBIN"]) / arguments[-1].partition("@")[0].rpartition("/")[2]
target.write_text("a program")
"""


class Workshop:
    """A module to build and a `go` that records what it was asked for."""

    def __init__(self, root: Path) -> None:
        self.module = root / "module"
        self.cache = root / "cache"
        self.calls = root / "calls"
        programs = root / "bin"
        programs.mkdir()
        go = programs / "go"
        go.write_text(textwrap.dedent(FAKE_GO).format(python=sys.executable, calls=str(self.calls)))
        go.chmod(0o755)
        self.environ = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(root)}
        self.module.mkdir()
        (self.module / "go.mod").write_text("module x\n\nrequire (\n\tk8s.io/kubernetes v1.2.3\n)\n")
        (self.module / "main.go").write_text("package main\n")

    def programs(self, **environ: str) -> Programs:
        toolchain = Toolchain(version="go1.0", architecture="amd64", environ={**self.environ, **environ})
        return Programs(toolchain=toolchain, cache=self.cache, module=self.module)

    def recorded(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_a_build_is_done_once(workshop: Workshop) -> None:
    first = workshop.programs().ensure(COMPONENTS)
    second = workshop.programs().ensure(COMPONENTS)
    assert first == second
    assert workshop.recorded() == ["build ."]
    assert all((first / name).read_text() == "a program" for name in COMPONENTS)


def test_only_what_is_missing_is_built(workshop: Workshop) -> None:
    workshop.programs().ensure(["pause"])
    workshop.programs().ensure(["pause", "coredns"])
    assert [call.partition("@")[0] for call in workshop.recorded()] == [
        "build ./pause",
        "install github.com/coredns/coredns",
    ]


def test_changed_sources_are_another_build(workshop: Workshop) -> None:
    before = workshop.programs().folder
    (workshop.module / "main.go").write_text("package main // changed\n")
    assert workshop.programs().folder != before


def test_a_failed_build_leaves_no_program_and_says_why(workshop: Workshop) -> None:
    failing = workshop.programs(FAKE_GO_FAILS="1")
    with pytest.raises(BuildError, match="no such thing"):
        failing.ensure(COMPONENTS)
    assert failing.missing(COMPONENTS) == list(COMPONENTS)
    assert list(failing.folder.iterdir()) == []


def test_the_remains_of_a_killed_build_are_cleared(workshop: Workshop) -> None:
    programs = workshop.programs()
    remains = programs.folder / ".building-killed"
    remains.mkdir(parents=True)
    (remains / "kubernetes").write_text("half a program")
    programs.ensure(COMPONENTS)
    assert not remains.exists()
    assert (programs.folder / "kubernetes").read_text() == "a program"


def test_the_components_report_the_version_of_their_module() -> None:
    assert kubernetes_version("require (\n\tk8s.io/kubernetes v1.34.4\n)\n") == "v1.34.4"
    flags = version_flags("v1.34.4")
    assert "-X k8s.io/component-base/version.gitVersion=v1.34.4" in flags
    assert "-X k8s.io/component-base/version.gitMinor=34" in flags
    with pytest.raises(BuildError, match="does not require"):
        kubernetes_version("module x\n")


def test_stages_are_one_stream_without_the_list_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "pod" / "fast"
    folder.mkdir(parents=True)
    (folder / "pod-ready.yaml").write_text("kind: Stage\n")
    (folder / "pod-delete.yaml").write_text("kind: Stage\nname: b\n")
    (folder / "kustomization.yaml").write_text("resources: []\n")
    assert merge_stages(tmp_path) == "kind: Stage\nname: b\n---\nkind: Stage\n"
    with pytest.raises(BuildError, match="no stages"):
        merge_stages(tmp_path / "nowhere")


def test_the_cache_is_where_the_user_wants_it() -> None:
    assert cache_dir({"AGENTBERTH_CACHE": "/a/b"}) == Path("/a/b")
    assert cache_dir({"XDG_CACHE_HOME": "/x"}) == Path("/x/agentberth")
    assert cache_dir({}) == Path.home() / ".cache" / "agentberth"


def test_a_digest_tells_contents_names_and_facts_apart() -> None:
    same = digest({"a": b"1", "b": b"2"}, facts=("go1",))
    assert same == digest({"b": b"2", "a": b"1"}, facts=("go1",))
    others = [
        digest({"a": b"1", "b": b"2"}, facts=("go2",)),
        digest({"a": b"1b", "": b"2"}, facts=("go1",)),
        digest({"a": b"2", "b": b"1"}, facts=("go1",)),
    ]
    assert len({same, *others}) == 4


def test_only_sources_count(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "main.go").write_bytes(b"package x")
    (tmp_path / "notes.txt").write_bytes(b"hello")
    assert read_tree(tmp_path, suffixes=(".go", ".mod")) == {"x/main.go": b"package x"}


def test_a_second_builder_waits_for_the_first(tmp_path: Path) -> None:
    lock, record = tmp_path / "lock", tmp_path / "record"
    script = (
        "import sys; from pathlib import Path; from testcluster.cache import locked\n"
        f"with locked(Path({str(lock)!r})): Path({str(record)!r}).open('a').write('second')"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1] / "src")}
    with contextlib.ExitStack() as held, locked(lock):
        argv = [sys.executable, "-c", script]
        other = held.enter_context(subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True))
        assert other.stdout is not None
        assert "another process builds here" in other.stdout.readline()
        replace_text(record, "first ")
    assert other.returncode == 0
    assert record.read_text() == "first second"


def test_each_mode_builds_what_it_needs() -> None:
    assert wanted_programs(UpOptions(control_plane=True)) == list(COMPONENTS)
    assert "kwok" in wanted_programs(UpOptions(control_plane=True, fake_nodes=1))
    assert {"coredns", "pause"} <= set(wanted_programs(UpOptions()))


def make_assets(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("")
        (folder / name).chmod(0o755)
    return folder


def test_given_assets_are_used_instead_of_a_build(tmp_path: Path) -> None:
    assets = make_assets(tmp_path / "assets", "etcd", "kube-apiserver")
    found = find_or_build(UpOptions(control_plane=True), {"KUBEBUILDER_ASSETS": str(assets)})
    assert found == assets


def test_incomplete_assets_are_named(tmp_path: Path) -> None:
    assets = make_assets(tmp_path / "assets", "etcd")
    with pytest.raises(MissingProgramError, match="lacks kube-apiserver"):
        find_or_build(UpOptions(control_plane=True), {"KUBEBUILDER_ASSETS": str(assets)})


def test_assets_do_not_go_with_fake_nodes(tmp_path: Path) -> None:
    assets = make_assets(tmp_path / "assets", "etcd", "kube-apiserver")
    with pytest.raises(UsageError, match="--kwok"):
        find_or_build(UpOptions(control_plane=True, fake_nodes=3), {"KUBEBUILDER_ASSETS": str(assets)})


def test_without_go_the_cure_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingProgramError, match="install Go"):
        find_or_build(UpOptions(control_plane=True), {"PATH": str(tmp_path)})


def test_the_replaced_file_is_whole(tmp_path: Path) -> None:
    replace_text(tmp_path / "deep" / "file.json", json.dumps({"a": 1}))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file.json"]


def test_bootstrap_names_the_packages_of_missing_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in bootstrap.PACKAGES:
        if program not in ("unshare", "setpriv", "runc"):
            (tmp_path / program).write_text("")
            (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bootstrap, "CNI_FOLDER", tmp_path / "cni")
    assert bootstrap.missing_packages() == ["containernetworking-plugins", "runc", "util-linux"]
    with pytest.raises(MissingProgramError, match="not Debian"):
        bootstrap.install()
