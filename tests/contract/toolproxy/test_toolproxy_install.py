"""Installing: the four places, downloads, packages, pins, and what a kill leaves behind."""

import hashlib
import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract.initenv.npm_registry import NpmRegistry
from contract.initenv.package_index import PackageIndex
from contract.toolproxy.artifact_server import REGULAR, SCRIPT, ArtifactServer, add_member, tar_of, zip_of
from contract.toolproxy.toolproxy_harness import ToolProxy, running


@pytest.fixture
def server() -> Iterator[ArtifactServer]:
    with ArtifactServer() as made:
        yield made


def planned(name: str, source: str, **custom: Any) -> dict[str, Any]:
    return {"name": name, "custom": {"name": name, "source": source, **custom}}


def output_of(proxy: ToolProxy, name: str, *args: str) -> str:
    result = proxy.run(name, {"args": list(args)}).json()
    return str(result["structuredContent"]["stdout"])


def assert_nothing_left(proxy: ToolProxy) -> None:
    for folder in ("store", "staging", "bin", "records"):
        assert not list((proxy.tools / folder).iterdir()), folder


def plain_tar(archive: tarfile.TarFile) -> None:
    add_member(archive, "pkg/bin/hello", SCRIPT)
    add_member(archive, "pkg/README", b"text", mode=0o644)
    add_member(archive, "pkg/bin/alias", type=tarfile.SYMTYPE, linkname="hello", size=0)


# The four places


def test_places_are_searched_in_their_order(proxy: ToolProxy, server: ArtifactServer) -> None:
    sha256 = server.add("/hello", SCRIPT)
    proxy.add_program("onpath", "#!/bin/sh\necho path\n")
    catalogue = {
        "name": "onpath",
        "source": server.url("/hello"),
        "sha256": sha256,
        "description": "from the catalogue",
    }
    both = {"name": "both", "source": server.url("/hello"), "sha256": sha256}
    proxy.write_config(
        tools=[
            {"name": "onpath", "catalogue": catalogue},
            {"name": "both", "catalogue": both, "custom": {"name": "both", "source": server.url("/missing")}},
            planned("own", server.url("/hello")),
        ]
    )
    proxy.start()
    assert output_of(proxy, "onpath") == "path\n"
    assert proxy.tool("onpath")["description"] == "from the catalogue"
    assert proxy.tool("both")["source"] == f"catalogue: {server.url('/hello')}"
    assert proxy.tool("own")["source"] == f"custom: {server.url('/hello')}"
    assert len(list((proxy.tools / "store").iterdir())) == 1


def test_a_warm_store_starts_without_the_network(proxy: ToolProxy, server: ArtifactServer) -> None:
    server.add("/hello", SCRIPT)
    proxy.write_config(tools=[planned("hello", server.url("/hello"))])
    proxy.start()
    proxy.stop()
    server.files.clear()
    asked = len(server.requests)
    proxy.start()
    assert output_of(proxy, "hello", "warm") == "ran warm\n"
    assert len(server.requests) == asked


def test_what_is_installed_is_on_the_agents_path_and_cannot_be_half_there(
    proxy: ToolProxy, server: ArtifactServer
) -> None:
    server.add("/hello.tgz", tar_of(plain_tar))
    proxy.write_config(tools=[planned("hello", server.url("/hello.tgz"))])
    proxy.start()
    link = proxy.tools / "bin/hello"
    assert not link.readlink().is_absolute()
    assert link.read_bytes() == SCRIPT


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w"])
def test_archives_of_every_kind_are_unpacked(proxy: ToolProxy, server: ArtifactServer, mode: str) -> None:
    server.add("/a", tar_of(plain_tar, mode))
    server.add("/b", zip_of(("pkg/bin/hello", SCRIPT, REGULAR), ("pkg/x", b"1", REGULAR)))
    proxy.write_config(tools=[planned("hello", server.url("/a")), planned("zipped", server.url("/b"), program="hello")])
    proxy.start()
    assert output_of(proxy, "hello", "x") == "ran x\n"
    assert output_of(proxy, "zipped", "x") == "ran x\n"


def test_a_catalogue_entry_has_an_artifact_for_each_platform(proxy: ToolProxy, server: ArtifactServer) -> None:
    content = tar_of(plain_tar)
    sha256 = server.add("/x", content)
    artifacts = [
        {"platform": f"linux/{machine}", "url": server.url("/x"), "sha256": sha256, "member": "pkg/bin/hello"}
        for machine in ("amd64", "arm64")
    ]
    entry = {"name": "hello", "version": "1.2", "artifacts": artifacts}
    proxy.write_config(tools=[{"name": "hello", "catalogue": entry}])
    proxy.start()
    assert proxy.tool("hello")["version"] == "1.2"
    assert proxy.report()["tools"][0]["digest"] == sha256


# Digests and pins


def test_one_flipped_byte_is_refused(proxy: ToolProxy, server: ArtifactServer) -> None:
    sha256 = hashlib.sha256(SCRIPT).hexdigest()
    server.add("/hello", SCRIPT.replace(b"ran", b"raN"))
    proxy.write_config(tools=[planned("hello", server.url("/hello"), sha256=sha256) | {"required": False}])
    proxy.start()
    assert sha256 in proxy.wait_for_state("hello", "failed")["error"]
    assert_nothing_left(proxy)
    assert not list((proxy.tools / "downloads").iterdir())


def test_what_was_seen_first_is_pinned_over_pods(proxy: ToolProxy, server: ArtifactServer, tmp_path: Path) -> None:
    first = server.add("/hello", SCRIPT)
    proxy.write_config(tools=[planned("hello", server.url("/hello"), version="1")])
    proxy.start()
    lock = json.loads((proxy.workspace / "tools.lock.json").read_text())
    assert lock["tools"]["hello"] == {
        "version": "1",
        "source": server.url("/hello"),
        "platform": lock["tools"]["hello"]["platform"],
        "sha256": first,
    }
    pins = proxy.report()["lock"]
    proxy.stop()
    shutil.rmtree(proxy.tools)
    other = SCRIPT + b"# changed\n"
    second = server.add("/elsewhere", other)
    proxy.write_config(
        tools=[planned("hello", server.url("/elsewhere"), version="1")], lock=pins
    )  # as the operator renders it
    proxy.launch()
    error = proxy.wait_for_state("hello", "failed")["error"]
    assert first in error
    assert second in error
    proxy.write_config(
        tools=[planned("hello", server.url("/elsewhere"), version="1")], policy={"approved": {"hello": second}}
    )
    proxy.wait_for_state("hello", "ready")


def test_the_same_version_from_another_place_must_be_the_same_bytes(proxy: ToolProxy, server: ArtifactServer) -> None:
    server.add("/a", SCRIPT)
    server.add("/b", SCRIPT)
    server.add("/c", SCRIPT + b"#\n")
    proxy.write_config(tools=[planned("hello", server.url("/a"), version="1")])
    proxy.start()
    proxy.write_config(tools=[planned("hello", server.url("/b"), version="1")])
    proxy.wait_for(lambda: proxy.tool("hello")["source"].endswith("/b"))
    proxy.write_config(tools=[planned("hello", server.url("/c"), version="1")])
    proxy.wait_for_state("hello", "failed")
    proxy.write_config(tools=[planned("hello", server.url("/c"), version="2")])
    proxy.wait_for_state("hello", "ready")


@pytest.mark.parametrize("pinning", ["Warn", "Off"])
def test_weaker_pinning_lets_a_change_through(proxy: ToolProxy, server: ArtifactServer, pinning: str) -> None:
    server.add("/a", SCRIPT)
    server.add("/b", SCRIPT + b"#\n")
    proxy.write_config(tools=[planned("hello", server.url("/a"))], policy={"pinning": pinning})
    proxy.start()
    proxy.write_config(tools=[planned("hello", server.url("/b"))], policy={"pinning": pinning})
    proxy.wait_for(lambda: proxy.tool("hello")["source"].endswith("/b"))
    warned = any(line["message"] == "a tool changed" for line in proxy.log_lines())
    assert warned == (pinning == "Warn")


def test_a_checksum_can_be_demanded(proxy: ToolProxy, server: ArtifactServer) -> None:
    sha256 = server.add("/hello", SCRIPT)
    bare = planned("bare", server.url("/hello")) | {"required": False}
    proxy.write_config(
        tools=[bare, planned("good", server.url("/hello"), sha256=sha256)], policy={"requireChecksum": True}
    )
    proxy.start()
    assert "requireChecksum" in proxy.wait_for_state("bare", "failed")["error"]
    assert output_of(proxy, "good") == "ran\n"


def test_a_damaged_or_hostile_lock_in_the_workspace_stops_nothing(proxy: ToolProxy, server: ArtifactServer) -> None:
    server.add("/hello", SCRIPT)
    os.mkfifo(proxy.workspace / "tools.lock.json")
    (proxy.workspace / "tools.lock.d").write_text("in the way")
    proxy.write_config(tools=[planned("hello", server.url("/hello"))])
    proxy.start()
    assert output_of(proxy, "hello") == "ran\n"


# The network


def test_a_download_goes_on_where_it_broke_off(proxy: ToolProxy, server: ArtifactServer) -> None:
    content = SCRIPT + b"#" + os.urandom(3_000_000).hex().encode()
    sha256 = server.add("/big", content)
    server.faults["/big"].extend([-2_000_000, 503, -1_000_000])
    proxy.write_config(tools=[planned("big", server.url("/big"), sha256=sha256)])
    proxy.start()
    ranges = [asked for _, asked in server.requests]
    assert ranges[0] is None
    assert ranges[-1] is not None
    assert int(ranges[-1].removeprefix("bytes=").rstrip("-")) >= 1_000_000
    assert proxy.report()["tools"][0]["digest"] == sha256


def test_a_file_that_changed_under_a_part_is_fetched_anew(proxy: ToolProxy, server: ArtifactServer) -> None:
    old, new = SCRIPT + b"#a" * 500_000, SCRIPT + b"#b" * 500_000
    server.add("/big", old)
    server.faults["/big"].extend([-200_000, 503])
    proxy.write_config(tools=[planned("big", server.url("/big"))])
    proxy.launch()
    proxy.wait_for(lambda: len(server.requests) >= 2)
    sha256 = server.add("/big", new)
    proxy.wait_for_state("big", "ready")
    assert proxy.report()["tools"][0]["digest"] == sha256


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_addresses_inside_are_refused_unless_allowed(proxy: ToolProxy, address: str) -> None:
    tools = [
        planned("down", f"https://{address}/x") | {"required": False},
        planned("plain", f"http://{address}/x") | {"required": False},
        planned("upstream", f"mcp+https://{address}/mcp") | {"required": False},
    ]
    proxy.write_config(tools=tools, policy={"allowedNetworks": []})
    proxy.start()
    for name in ("down", "plain", "upstream"):
        assert "allowedNetworks" in proxy.wait_for_state(name, "failed")["error"]


def test_a_redirect_to_an_inner_address_is_refused(proxy: ToolProxy, server: ArtifactServer) -> None:
    server.redirects["/hello"] = "https://169.254.169.254/latest/meta-data"
    server.redirects["/other"] = "file:///etc/passwd"
    tools = [planned(name, server.url(f"/{name}")) | {"required": False} for name in ("hello", "other")]
    proxy.write_config(tools=tools)
    proxy.start()
    assert "allowedNetworks" in proxy.wait_for_state("hello", "failed")["error"]
    assert "scheme" in proxy.wait_for_state("other", "failed")["error"]


def test_a_download_that_is_too_large_is_refused(proxy: ToolProxy, server: ArtifactServer) -> None:
    server.add("/big", b"#!" + b"x" * 100_000)
    proxy.write_config(
        tools=[planned("big", server.url("/big")) | {"required": False}], limits={"downloadBytes": 50_000}
    )
    proxy.start()
    assert "downloadBytes" in proxy.wait_for_state("big", "failed")["error"]
    assert not list((proxy.tools / "downloads").iterdir())


def test_an_optional_tool_that_fails_degrades_only_itself(proxy: ToolProxy, server: ArtifactServer) -> None:
    proxy.write_config(tools=[{"name": "git"}, planned("gone", server.url("/gone")) | {"required": False}])
    proxy.start()
    assert "404" in proxy.wait_for_state("gone", "failed")["error"]
    assert proxy.tool_names() == ["git"]


# Packages


CLI = {"hello.py": "import sys\ndef main():\n    print('hello', *sys.argv[1:])\n"}


def test_a_python_package_is_installed_from_its_wheels(proxy: ToolProxy, tmp_path: Path) -> None:
    with PackageIndex() as index:
        index.add_wheel("dep", "2.0")
        index.add_wheel("hello", "1.0", files=CLI, requires=("dep",), scripts={"hello": "hello:main"})
        proxy.write_config(tools=[planned("hello", "pypi:hello==1.0")], pythonUrl=index.url)
        proxy.start()
        assert output_of(proxy, "hello", "a b", "$x") == "hello a b $x\n"
        assert proxy.tool("hello")["version"] == "1.0"
        proxy.stop()
        asked = len(index.requests)
        proxy.start()
        assert output_of(proxy, "hello") == "hello\n"
        assert len(index.requests) == asked


def test_a_python_package_is_the_same_in_the_next_pod(proxy: ToolProxy) -> None:
    with PackageIndex() as index:
        index.add_wheel("dep", "2.0")
        index.add_wheel("hello", "1.0", files=CLI, requires=("dep",), scripts={"hello": "hello:main"})
        proxy.write_config(tools=[planned("hello", "pypi:hello==1.0")], pythonUrl=index.url)
        proxy.start()
        digest = proxy.report()["tools"][0]["digest"]
        pins = proxy.report()["lock"]
        proxy.stop()
        shutil.rmtree(proxy.tools)
        index.add_wheel("dep", "3.0")
        proxy.write_config(tools=[planned("hello", "pypi:hello==1.0")], pythonUrl=index.url, lock=pins)
        proxy.start()
        assert proxy.report()["tools"][0]["digest"] == digest


def test_changed_bytes_of_a_pinned_python_package_are_refused(proxy: ToolProxy) -> None:
    with PackageIndex() as index:
        index.add_wheel("hello", "1.0", files=CLI, scripts={"hello": "hello:main"})
        proxy.write_config(tools=[planned("hello", "pypi:hello==1.0")], pythonUrl=index.url)
        proxy.start()
        pins = proxy.report()["lock"]
        proxy.stop()
    shutil.rmtree(proxy.tools)
    evil = {"hello.py": "def main():\n    print('evil')\n"}
    with PackageIndex() as index:
        index.add_wheel("hello", "1.0", files=evil, scripts={"hello": "hello:main"})
        proxy.write_config(tools=[planned("hello", "pypi:hello==1.0")], pythonUrl=index.url, lock=pins)
        proxy.launch()
        assert "other bytes" in proxy.wait_for_state("hello", "failed")["error"]
        assert_nothing_left(proxy)


def test_packages_that_cannot_be_are_told_from_each_other(proxy: ToolProxy) -> None:
    with PackageIndex() as index, NpmRegistry() as registry:
        index.add_wheel("library", "1.0")
        registry.add("library", "1.0.0")
        sources = {
            "p-missing": ("pypi:absent==1", "no such package"),
            "p-version": ("pypi:library==9", "no such package or version"),
            "p-script": ("pypi:library==1.0", "has no script"),
            "n-missing": ("npm:absent@1.0.0", "no such package"),
            "n-version": ("npm:library@9.0.0", "no such package or version"),
            "n-bin": ("npm:library@1.0.0", "has no program"),
        }
        tools = [planned(name, source) | {"required": False} for name, (source, _) in sources.items()]
        proxy.write_config(tools=tools, pythonUrl=index.url, npmRegistry=registry.url)
        proxy.start()
        for name, (_, expected) in sources.items():
            assert expected in proxy.wait_for_state(name, "failed")["error"], name


def test_an_npm_package_is_installed_and_runs_no_script(proxy: ToolProxy) -> None:
    with NpmRegistry() as registry:
        manifest = {"bin": {"hello": "cli.js"}, "scripts": {"postinstall": "touch /tmp/evil-postinstall"}}
        registry.add("hello", "1.0.0", manifest=manifest)
        proxy.write_config(tools=[planned("hello", "npm:hello@1.0.0")], npmRegistry=registry.url)
        proxy.start()
        assert output_of(proxy, "hello") == "cli\n"
        assert not Path("/tmp/evil-postinstall").exists()
        digest = proxy.report()["tools"][0]["digest"]
        proxy.stop()
        shutil.rmtree(proxy.tools)
        proxy.start()
        assert proxy.report()["tools"][0]["digest"] == digest


def test_an_npm_package_is_installed_though_the_registry_lacks_it_for_other_platforms(proxy: ToolProxy) -> None:
    optional = {"hello-linux": "1.0.0", "hello-darwin": "1.0.0", "hello-windows": "2.0.0"}
    with NpmRegistry() as registry:
        registry.add("core", "1.0.0", manifest={"optionalDependencies": optional})
        registry.add("hello", "1.0.0", manifest={"bin": {"hello": "cli.js"}, "dependencies": {"core": "1.0.0"}})
        registry.add("hello-linux", "1.0.0")
        registry.add("hello-windows", "1.0.0")
        proxy.write_config(tools=[planned("hello", "npm:hello@1.0.0")], npmRegistry=registry.url)
        proxy.start()

        (installed,) = proxy.tools.glob("store/*/node_modules")
        assert {each.name for each in installed.iterdir()} >= {"core", "hello", "hello-linux"}
        assert not (installed / "hello-windows").exists()


def test_an_index_that_is_away_is_tried_again(proxy: ToolProxy) -> None:
    with PackageIndex() as index:
        index.add_wheel("hello", "1.0", files=CLI, scripts={"hello": "hello:main"})
        index.fail("/", *([503] * 5))
        proxy.write_config(tools=[planned("hello", "pypi:hello==1.0")], pythonUrl=index.url)
        proxy.launch()
        assert "could not be used" in proxy.wait_for_state("hello", "failed")["error"]
        proxy.wait_for_state("hello", "ready")


# Kills


def assert_old_or_new(proxy: ToolProxy, digests: set[str]) -> None:
    """Everything that has a final name is whole."""
    store = proxy.tools / "store"
    for folder in store.iterdir() if store.exists() else ():
        assert folder.name in digests
        files = sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())
        assert len(files) == 401, folder
    for record in (proxy.tools / "records").glob("*.json") if store.exists() else ():
        found = json.loads(record.read_text())
        assert (store / found["digest"] / found["program"]).is_file()
    for link in (proxy.tools / "bin").iterdir() if (proxy.tools / "bin").exists() else ():
        assert link.resolve().is_file()


def test_a_kill_at_any_moment_of_an_install_leaves_old_or_new(proxy: ToolProxy, server: ArtifactServer) -> None:
    def wide(mark: bytes) -> bytes:
        def fill(archive: tarfile.TarFile) -> None:
            for number in range(400):
                add_member(archive, f"lib/{number}", mark * 2000, mode=0o644)
            add_member(archive, "bin/hello", SCRIPT)

        return tar_of(fill)

    old, new = wide(b"o"), wide(b"n")
    digests = {server.add("/old", old), server.add("/new", new)}
    proxy.write_config(tools=[planned("hello", server.url("/old"), version="1")])
    proxy.start()
    proxy.stop()
    proxy.write_config(tools=[planned("hello", server.url("/new"), version="2")])
    server.hold_path = "/new"
    proxy.launch()
    assert server.held.wait(20)
    proxy.kill()
    assert_old_or_new(proxy, digests)
    server.release.set()
    server.hold_path = ""
    for delay_s in (0.0, 0.01, 0.02, 0.04, 0.06, 0.09, 0.13, 0.2):
        for folder in ("records", "store", "bin"):
            shutil.rmtree(proxy.tools / folder)
        asked = len(server.requests)
        proxy.launch()
        proxy.wait_for(lambda asked=asked: len(server.requests) > asked)  # type: ignore[misc]
        time.sleep(delay_s)
        proxy.kill()
        assert_old_or_new(proxy, digests)
    proxy.start()
    assert_old_or_new(proxy, digests)
    assert not list((proxy.tools / "staging").iterdir())
    assert output_of(proxy, "hello", "2") == "ran 2\n"


def test_a_kill_while_a_package_is_installed_leaves_nothing_half_made(proxy: ToolProxy) -> None:
    with PackageIndex() as index:
        index.add_wheel("hello", "1.0", files=CLI, scripts={"hello": "hello:main"})
        proxy.write_config(tools=[planned("hello", "pypi:hello==1.0")], pythonUrl=index.url)
        for delay_s in (0.0, 0.1, 0.2, 0.4, 0.7):
            asked = len(index.requests)
            proxy.launch()
            proxy.wait_for(lambda asked=asked: len(index.requests) > asked or proxy.tool("hello")["state"] == "ready")  # type: ignore[misc]
            time.sleep(delay_s)
            proxy.kill()
        proxy.start()
        assert output_of(proxy, "hello", "x") == "hello x\n"
        assert not list((proxy.tools / "staging").iterdir())


def test_tools_that_are_no_longer_asked_for_are_not_served_and_removed_at_the_next_start(
    proxy: ToolProxy, server: ArtifactServer
) -> None:
    server.add("/hello", SCRIPT)
    with running(proxy.root, tools=[planned("hello", server.url("/hello")), {"name": "git"}]) as started:
        started.write_config(tools=[{"name": "git"}])
        started.wait_for(lambda: started.tool_names() == ["git"])
        started.stop()
        started.start()
        assert_nothing_left(started)
