import json
import subprocess
import sys
from pathlib import Path

import pytest
from contract.initenv.harness import Pod
from contract.initenv.package_index import RESET, Fault, PackageIndex, make_wheel

from agent_api.initreport import InitFault


def plan(pod: Pod, index: PackageIndex, *requirements: str, version: str = "3.12", lock: str = "") -> None:
    packages = {"runtime": "python", "version": version, "requirements": requirements}
    if lock:
        packages["lock"] = pod.mount("lock/requirements.txt", lock)
    pod.plan(packages=packages, index={"pythonUrl": index.url})


def imported(pod: Pod, code: str) -> str:
    command = [sys.executable, "-c", code]
    env = {"PYTHONPATH": str(pod.shared / "sdk/python")}
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()


def test_packages_are_installed_with_their_dependencies(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("needed", "2.5")
    index.add_wheel("zebra", "1.0", requires=("needed>=2",))
    plan(pod, index, "zebra==1.*")
    report = pod.run().prepared()
    assert list(report.versions.items()) == [("zebra", "1.0"), ("needed", "2.5")]
    assert imported(pod, "import needed; print(needed.VERSION)") == "2.5"
    assert report.steps[0].detail == "2 packages"
    assert not (pod.shared / "sdk/python/.lock").exists()


def test_a_second_run_asks_the_index_nothing(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("good", "1.0")
    plan(pod, index, "good")
    first = pod.run().prepared()
    index.requests.clear()
    second = pod.run()
    assert second.step("packages") == "unchanged"
    assert second.report.versions == first.versions
    assert second.report.size_bytes == first.size_bytes
    assert index.requests == []


def test_a_changed_requirement_replaces_everything(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("good", "1.0")
    index.add_wheel("better", "1.0")
    plan(pod, index, "good")
    pod.run().prepared()
    plan(pod, index, "better")
    assert pod.run().step("packages") == "done"
    assert not (pod.shared / "sdk/python/good.py").exists()
    assert (pod.shared / "sdk/python/better.py").exists()


def test_python_3_9_gets_its_own_wheels_without_an_interpreter(pod: Pod, index: PackageIndex) -> None:
    for tag in ("cp39-cp39", "cp312-cp312"):
        index.add_wheel("native", "1.0", tag=f"{tag}-manylinux_2_17_x86_64", files={"native.py": f"TAG = {tag!r}\n"})
        index.add_wheel("native", "1.0", tag=f"{tag}-manylinux_2_17_aarch64", files={"native.py": f"TAG = {tag!r}\n"})
    plan(pod, index, "native", version="3.9")
    pod.run().prepared()
    assert imported(pod, "import native; print(native.TAG)") == "cp39-cp39"


@pytest.mark.parametrize("faults", [(503, 503), (429, 429), (RESET, RESET), (500,)], ids=["503", "429", "reset", "500"])
@pytest.mark.parametrize("where", ["/simple/good", "/files/good"])
def test_a_flaky_index_is_tried_again(pod: Pod, index: PackageIndex, faults: tuple[Fault, ...], where: str) -> None:
    index.add_wheel("good", "1.0")
    index.fail(where, *faults)
    plan(pod, index, "good")
    outcome = pod.run()
    report = outcome.prepared()
    assert report.steps[0].attempts >= 2
    assert f"attempt {len(faults)} of 5 failed, again in" in outcome.stderr


def test_an_index_that_stays_away_is_given_up(pod: Pod, index: PackageIndex) -> None:
    index.fail("/simple/good", *[503] * 20)
    pod.plan(
        packages={"runtime": "python", "requirements": ["good"]},
        index={"pythonUrl": index.url},
        limits={"attempts": 3, "backoffSeconds": 0.01},
    )
    outcome = pod.run()
    error = outcome.error(InitFault.NETWORK_FAILED)
    assert error.step == "packages"
    assert "503 Service Unavailable" in error.cause
    assert "attempt 3 of 3" in error.cause
    assert outcome.report.steps[0].attempts == 3
    assert not (pod.shared / "sdk").exists()


def test_a_package_without_a_wheel(pod: Pod, index: PackageIndex) -> None:
    index.add("sourceonly-1.0.tar.gz", b"no archive is opened")
    plan(pod, index, "sourceonly")
    error = pod.run().error(InitFault.NO_WHEEL)
    assert "sourceonly" in error.cause
    assert "wheel" in error.cure
    assert not any("files" in request for request in index.requests)


def test_a_package_for_another_python_only(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("oldonly", "1.0", tag="cp39-cp39-manylinux_2_17_x86_64")
    plan(pod, index, "oldonly", version="3.12")
    assert "oldonly" in pod.run().error(InitFault.NO_WHEEL).cause


@pytest.mark.parametrize("name", ["nothere", "networkx-nothere", "timed-out", "dns.error.503"])
def test_a_package_that_does_not_exist(pod: Pod, index: PackageIndex, name: str) -> None:
    plan(pod, index, name)
    outcome = pod.run()
    error = outcome.error(InitFault.PACKAGE_NOT_FOUND)
    assert name.partition(".")[0] in error.cause
    assert outcome.report.steps[0].attempts == 1


@pytest.mark.parametrize("version", ["2.0", "1.500", "503"])
def test_a_version_that_does_not_exist(pod: Pod, index: PackageIndex, version: str) -> None:
    index.add_wheel("network", "1.0")
    plan(pod, index, f"network=={version}")
    outcome = pod.run()
    assert f"network=={version}" in outcome.error(InitFault.UNRESOLVABLE).cause
    assert outcome.report.steps[0].attempts == 1


def test_versions_that_exclude_each_other(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("base", "1.0")
    index.add_wheel("base", "2.0")
    index.add_wheel("user", "1.0", requires=("base==1.0",))
    plan(pod, index, "user", "base==2.0")
    assert "base==1.0" in pod.run().error(InitFault.UNRESOLVABLE).cause


def test_a_wrong_hash_of_the_index_is_refused_at_once(pod: Pod, index: PackageIndex) -> None:
    filename, content = make_wheel("tampered", "1.0")
    index.add(filename, content, sha256="0" * 64)
    plan(pod, index, "tampered")
    outcome = pod.run()
    assert "tampered" in outcome.error(InitFault.HASH_MISMATCH).cause
    assert outcome.report.steps[0].attempts == 1
    assert not (pod.shared / "sdk").exists()


def test_a_failed_run_leaves_what_was_prepared_before(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("good", "1.0")
    plan(pod, index, "good")
    pod.run().prepared()
    before = pod.tree()
    plan(pod, index, "nothere")
    pod.run().error(InitFault.PACKAGE_NOT_FOUND)
    assert pod.tree() == before


class TestLock:
    def test_installs_what_it_names(self, pod: Pod, index: PackageIndex) -> None:
        sha256 = index.add_wheel("good", "1.0")
        index.add_wheel("good", "2.0")
        plan(pod, index, "good>=1", lock=f"# made by a tool\ngood==1.0 \\\n    --hash=sha256:{sha256}\n")
        assert pod.run().prepared().versions == {"good": "1.0"}

    def test_refuses_another_hash(self, pod: Pod, index: PackageIndex) -> None:
        index.add_wheel("good", "1.0")
        plan(pod, index, lock=f"good==1.0 --hash=sha256:{'1' * 64}\n")
        assert "good" in pod.run().error(InitFault.HASH_MISMATCH).cause

    def test_refuses_a_pin_without_a_hash(self, pod: Pod, index: PackageIndex) -> None:
        index.add_wheel("good", "1.0")
        plan(pod, index, lock="good==1.0\n")
        assert "good==1.0" in pod.run().error(InitFault.HASH_MISMATCH).cause

    @pytest.mark.parametrize("requirement", ["good>=2", "other"])
    def test_must_satisfy_what_is_asked_for(self, pod: Pod, index: PackageIndex, requirement: str) -> None:
        sha256 = index.add_wheel("good", "1.0")
        index.add_wheel("other", "1.0")
        plan(pod, index, requirement, lock=f"good==1.0 --hash=sha256:{sha256}\n")
        assert requirement in pod.run().error(InitFault.UNRESOLVABLE).cause
        assert not (pod.shared / "sdk").exists()

    def test_installs_no_dependency_that_it_does_not_name(self, pod: Pod, index: PackageIndex) -> None:
        sha256 = index.add_wheel("good", "1.0", requires=("hidden",))
        index.add_wheel("hidden", "1.0")
        plan(pod, index, lock=f"good==1.0 --hash=sha256:{sha256}\n")
        assert "hidden" in pod.run().error(InitFault.UNRESOLVABLE).cause

    @pytest.mark.parametrize("line", ["-e .", "--find-links /tmp", "-r more.txt", "--no-binary :all:"])
    def test_has_no_options(self, pod: Pod, index: PackageIndex, line: str) -> None:
        plan(pod, index, lock=f"{line}\n")
        assert line in pod.run().error(InitFault.PLAN_INVALID).cause

    def test_that_is_not_mounted(self, pod: Pod) -> None:
        pod.plan(packages={"runtime": "python", "lock": "/etc/agentberth/lock/requirements.txt"})
        assert "requirements.txt" in pod.run().error(InitFault.FILE_MISSING).cause


def test_console_scripts_run_by_the_agents_own_python(pod: Pod, index: PackageIndex) -> None:
    code = {"tool.py": "def main():\n    print('it runs')\n"}
    index.add_wheel("tool", "1.0", files=code, scripts={"tool-cli": "tool:main"})
    plan(pod, index, "tool")
    pod.run().prepared()
    script = pod.shared / "sdk/python/bin/tool-cli"
    assert script.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": str(pod.shared / "sdk/python")}
    assert subprocess.run([script], env=env, check=True, capture_output=True, text=True).stdout == "it runs\n"


def test_everything_is_readable_for_another_user(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("good", "1.0")
    plan(pod, index, "good")
    pod.run().prepared()
    modes = {place: mode for place, (mode, _) in pod.tree().items()}
    assert modes["sdk"] == modes["sdk/python"] == "drwxr-xr-x"
    assert modes["sdk/python/good.py"] == "-rw-r--r--"


@pytest.mark.parametrize(
    "requirement, fault",
    [
        ("-r /etc/passwd", InitFault.PLAN_INVALID),
        ("--index-url=http://127.0.0.1/simple", InitFault.PLAN_INVALID),
        ("-e .", InitFault.PLAN_INVALID),
        ("./local.whl", InitFault.PLAN_INVALID),
        ("/etc/local.whl", InitFault.PLAN_INVALID),
        ("thing @ file:///etc/local.whl", InitFault.PLAN_INVALID),
        ("thing @ git+https://127.0.0.1/thing.git", InitFault.NO_WHEEL),
        ("https://127.0.0.1/thing-1.0.tar.gz", InitFault.NO_WHEEL),
        ("thing @ https://user:canary@127.0.0.1/thing-1.0-py3-none-any.whl", InitFault.PLAN_INVALID),
        ("good\n--find-links=/tmp", InitFault.PLAN_INVALID),
        ("good; python_version>'${HOME}'", InitFault.PLAN_INVALID),
    ],
)
def test_a_requirement_is_no_option_path_or_build(
    pod: Pod, index: PackageIndex, requirement: str, fault: InitFault
) -> None:
    plan(pod, index, requirement)
    outcome = pod.run()
    outcome.error(fault)
    assert index.requests == []
    assert "canary" not in outcome.stdout + outcome.stderr


def test_a_wheel_by_url_is_taken(pod: Pod, index: PackageIndex) -> None:
    sha256 = index.add_wheel("good", "1.0")
    plan(pod, index, f"good @ {index.origin}/files/good-1.0-py3-none-any.whl#sha256={sha256}")
    assert pod.run().prepared().versions == {"good": "1.0"}


def test_a_version_that_is_none(pod: Pod, index: PackageIndex) -> None:
    plan(pod, index, "good", version="--help")
    assert "--help" in pod.run().error(InitFault.PLAN_INVALID).cause


class TestIndexSecret:
    def test_credentials_in_the_index_url_are_used_and_never_shown(self, pod: Pod, index: PackageIndex) -> None:
        index.add_wheel("good", "1.0")
        index.credentials = ("reader", "canary-1")
        pod.mount("index/index-url", index.url.replace("//", "//reader:canary-1@") + "\n")
        packages = {"runtime": "python", "requirements": ["good"]}
        pod.plan(packages=packages, index={"pythonUrl": "http://127.0.0.1:9/", "folder": "/etc/agentberth/index"})
        outcome = pod.run()
        assert outcome.prepared().versions == {"good": "1.0"}
        index.credentials = ("reader", "changed")
        pod.plan(packages={**packages, "version": "3.12"}, index={"folder": "/etc/agentberth/index"})
        refused = pod.run()
        refused.error(InitFault.ACCESS_DENIED)
        for text in (outcome.stdout, outcome.stderr, refused.stdout, refused.stderr):
            assert "canary" not in text
        stamps = (pod.shared / ".agentberth").rglob("*.json")
        assert all("canary" not in stamp.read_text() for stamp in stamps)

    def test_a_url_that_is_none(self, pod: Pod) -> None:
        pod.mount("index/index-url", "canary:not a url")
        packages = {"runtime": "python", "requirements": ["good"]}
        pod.plan(packages=packages, index={"folder": "/etc/agentberth/index"})
        outcome = pod.run()
        assert "index" in outcome.error(InitFault.PLAN_INVALID).cause
        assert "canary" not in outcome.stderr


def test_the_projects_own_uv_settings_are_not_read(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("good", "1.0")
    plan(pod, index, "good")
    (pod.root / "uv.toml").write_text("this is no toml")
    pod.env = {"UV_INDEX_URL": "http://127.0.0.1:9/", "UV_OFFLINE": "1", "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    pod.run().prepared()


def test_without_uv_the_program_is_named(pod: Pod, index: PackageIndex, tmp_path: Path) -> None:
    code = (
        "import sys; sys.executable = '/nowhere/python'; sys.argv = sys.argv[1:]\n"
        "from agent_initenv.app import main; sys.exit(main())"
    )
    plan(pod, index, "good")
    command = [sys.executable, "-c", code, *pod.command()]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert (error["fault"], error["step"]) == ("ProgramMissing", "packages")
    assert "uv" in error["cause"]
