import json
import shutil
import subprocess
from typing import Any

import pytest
from contract.initenv.harness import Pod
from contract.initenv.npm_registry import NpmRegistry, integrity_of
from contract.initenv.package_index import RESET

from agent_api.initreport import InitFault


def plan(pod: Pod, registry: NpmRegistry, *specs: str, lock: Any = None) -> None:
    packages: dict[str, Any] = {"runtime": "nodejs", "requirements": specs}
    if lock is not None:
        packages["lock"] = pod.mount("lock/package-lock.json", json.dumps(lock))
    pod.plan(packages=packages, index={"npmRegistry": registry.url})


def required(pod: Pod, name: str) -> str:
    node = shutil.which("node")
    assert node is not None
    command = [node, "-p", f"require({json.dumps(name)})"]
    env = {"NODE_PATH": str(pod.shared / "sdk/nodejs/node_modules")}
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()


def test_packages_are_installed_with_their_dependencies(pod: Pod, registry: NpmRegistry) -> None:
    registry.add("needed", "2.5.0")
    registry.add("@scope/main", "1.0.0", manifest={"dependencies": {"needed": "^2.0.0"}})
    plan(pod, registry, "@scope/main@1")
    report = pod.run().prepared()
    assert list(report.versions.items()) == [("@scope/main", "1.0.0"), ("needed", "2.5.0")]
    assert required(pod, "needed") == "2.5.0"
    registry.requests.clear()
    assert pod.run().step("packages") == "unchanged"
    assert registry.requests == []


def test_es_modules_find_them_too(pod: Pod, registry: NpmRegistry) -> None:
    registry.add("good", "1.0.0")
    plan(pod, registry, "good")
    pod.run().prepared()
    code = pod.shared / "code"
    code.mkdir(exist_ok=True)
    (code / "main.mjs").write_text('import good from "good"; console.log(good);')
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run([node, str(code / "main.mjs")], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "1.0.0"


def test_no_script_of_a_package_runs(pod: Pod, registry: NpmRegistry) -> None:
    trace = pod.root / "it-ran"
    registry.add("eager", "1.0.0", manifest={"scripts": {"install": f"touch {trace}", "postinstall": f"touch {trace}"}})
    plan(pod, registry, "eager")
    pod.run().prepared()
    assert not trace.exists()


def test_programs_of_packages_are_linked(pod: Pod, registry: NpmRegistry) -> None:
    registry.add("tool", "1.0.0", manifest={"bin": {"tool": "cli.js"}})
    plan(pod, registry, "tool")
    pod.run().prepared()
    assert (pod.shared / "sdk/nodejs/node_modules/.bin/tool").resolve().read_text().startswith("#!/usr/bin/env node")


def test_another_runtime_replaces_the_first(pod: Pod, registry: NpmRegistry) -> None:
    registry.add("good", "1.0.0")
    plan(pod, registry, "good")
    pod.run().prepared()
    pod.plan(packages={"runtime": "python", "requirements": []})
    pod.run().prepared()
    assert not (pod.shared / "sdk/nodejs").exists()


@pytest.mark.parametrize("fault", [503, 429, RESET])
def test_a_flaky_registry_is_tried_again(pod: Pod, registry: NpmRegistry, fault: int | str) -> None:
    registry.add("good", "1.0.0")
    registry.fail("/good", fault, fault)
    plan(pod, registry, "good")
    assert pod.run().prepared().steps[0].attempts == 3


@pytest.mark.parametrize(
    "spec, fault",
    [
        ("nothere", InitFault.PACKAGE_NOT_FOUND),
        ("good@9", InitFault.UNRESOLVABLE),
        ("bad", InitFault.HASH_MISMATCH),
        ("secret", InitFault.ACCESS_DENIED),
        ("--registry=http://127.0.0.1", InitFault.PLAN_INVALID),
        ("../local", InitFault.PLAN_INVALID),
        ("file:/etc", InitFault.PLAN_INVALID),
        ("user/repository", InitFault.PLAN_INVALID),
        ("git+https://127.0.0.1/x.git", InitFault.PLAN_INVALID),
    ],
)
def test_what_cannot_be_installed(pod: Pod, registry: NpmRegistry, spec: str, fault: InitFault) -> None:
    registry.add("good", "1.0.0")
    registry.add("bad", "1.0.0", integrity=integrity_of(b"something else"))
    registry.fail("/secret", 403)
    plan(pod, registry, spec)
    outcome = pod.run()
    assert spec.split("@", maxsplit=1)[0] in outcome.error(fault).cause
    assert outcome.report.steps[0].attempts == 1
    assert not (pod.shared / "sdk").exists()


def test_peers_that_exclude_each_other(pod: Pod, registry: NpmRegistry) -> None:
    registry.add("base", "1.0.0")
    registry.add("base", "2.0.0")
    registry.add("user", "1.0.0", manifest={"peerDependencies": {"base": "1.0.0"}})
    plan(pod, registry, "user", "base@2.0.0")
    assert "base" in pod.run().error(InitFault.UNRESOLVABLE).cause


def test_a_tarball_by_url_is_taken(pod: Pod, registry: NpmRegistry) -> None:
    registry.add("good", "1.0.0")
    plan(pod, registry, f"{registry.origin}/good/-/good-1.0.0.tgz")
    assert pod.run().prepared().versions == {"good": "1.0.0"}


class TestLock:
    def test_installs_what_it_names(self, pod: Pod, registry: NpmRegistry) -> None:
        registry.add("good", "1.0.0")
        lock = registry.lock("good")
        registry.add("good", "2.0.0")
        plan(pod, registry, "good", lock=lock)
        assert pod.run().prepared().versions == {"good": "1.0.0"}
        assert required(pod, "good") == "1.0.0"

    def test_refuses_another_hash(self, pod: Pod, registry: NpmRegistry) -> None:
        registry.add("good", "1.0.0")
        lock = registry.lock("good")
        lock["packages"]["node_modules/good"]["integrity"] = integrity_of(b"something else")
        plan(pod, registry, lock=lock)
        outcome = pod.run()
        outcome.error(InitFault.HASH_MISMATCH)
        assert outcome.report.steps[0].attempts == 1

    def test_needs_a_hash_for_each_entry(self, pod: Pod, registry: NpmRegistry) -> None:
        registry.add("good", "1.0.0")
        lock = registry.lock("good")
        del lock["packages"]["node_modules/good"]["integrity"]
        plan(pod, registry, lock=lock)
        assert "node_modules/good" in pod.run().error(InitFault.HASH_MISMATCH).cause

    def test_must_name_what_is_asked_for(self, pod: Pod, registry: NpmRegistry) -> None:
        registry.add("good", "1.0.0")
        plan(pod, registry, "good", "other", lock=registry.lock("good"))
        assert "other" in pod.run().error(InitFault.UNRESOLVABLE).cause

    @pytest.mark.parametrize("lock", [{"lockfileVersion": 1, "dependencies": {}}, [], {"packages": {"a": 1}}])
    def test_of_an_old_kind(self, pod: Pod, registry: NpmRegistry, lock: Any) -> None:
        plan(pod, registry, lock=lock)
        assert "package-lock.json" in pod.run().error(InitFault.PLAN_INVALID).cause

    def test_names_no_local_package(self, pod: Pod, registry: NpmRegistry) -> None:
        lock = {"packages": {"": {}, "node_modules/near": {"resolved": "../near", "link": True}}}
        plan(pod, registry, lock=lock)
        assert "node_modules/near" in pod.run().error(InitFault.PLAN_INVALID).cause


def test_a_token_in_npmrc_is_used_and_never_shown(pod: Pod, registry: NpmRegistry) -> None:
    registry.add("good", "1.0.0")
    registry.token = "canary-token"
    pod.mount("index/npmrc", f"registry={registry.url}\n//{registry.host}/:_authToken=canary-token\n")
    packages = {"runtime": "nodejs", "requirements": ["good"]}
    index = {"npmRegistry": "http://127.0.0.1:9/", "folder": "/etc/agentberth/index"}
    pod.plan(packages=packages, index=index)
    accepted = pod.run()
    assert accepted.prepared().versions == {"good": "1.0.0"}
    registry.token = "another"
    pod.plan(packages={**packages, "version": "20"}, index=index)
    refused = pod.run()
    refused.error(InitFault.ACCESS_DENIED)
    for text in (accepted.stdout, accepted.stderr, refused.stdout, refused.stderr):
        assert "canary" not in text
