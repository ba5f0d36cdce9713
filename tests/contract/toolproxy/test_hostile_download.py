"""A download that is no honest tool fails alone: nothing of it is left, run, pinned or followed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.initenv.npm_registry import NpmRegistry
from contract.initenv.package_index import PackageIndex
from contract.toolproxy.artifact_server import SCRIPT, ArtifactServer
from contract.toolproxy.hostile_downloads import ATTACKS, LIMITS
from contract.toolproxy.test_hostile_server import MEMORY_KIB
from contract.toolproxy.test_toolproxy_install import CLI
from contract.toolproxy.toolproxy_harness import ToolProxy

TRAP = b'#!/bin/sh\nid > "$0.sprung"; exit 1\n'
SHADOWED = ("sh", "node", "python3", "git", "env", "uv")
NETWORK = {
    "redirect_to_metadata": "http://169.254.169.254/latest/meta-data/",
    "redirect_to_metadata_as_a_number": "http://2852039166/latest/meta-data/",
    "redirect_to_metadata_in_ipv6": "http://[::ffff:a9fe:a9fe]/latest/meta-data/",
    "redirect_to_the_cluster": "https://10.96.0.1/api/v1/secrets",
    "redirect_to_nat64": "https://[64:ff9b::a60:1]/",
    "redirect_to_a_file": "file:///etc/passwd",
    "redirect_to_ftp": "ftp://127.0.0.1/x",
    "redirect_to_another_reading": "http:\\\\169.254.169.254/",
}
"""Where the server sends a client that may go to loopback and nowhere else."""


def planned(name: str, source: str, **custom: Any) -> dict[str, Any]:
    return {"name": name, "required": False, "custom": {"name": name, "source": source, **custom}}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToolProxy]:
    made = ToolProxy(tmp_path_factory.mktemp("download") / "pod").in_a_pod()
    with ArtifactServer() as server:
        tools = [planned("good", server.url("/good"), sha256=server.add("/good", SCRIPT))]
        for name, attack in ATTACKS.items():
            server.add(f"/{name}", attack.content)
            tools.append(planned(name, server.url(f"/{name}"), program="hello"))
        for name, location in NETWORK.items():
            server.redirects[f"/{name}"] = location
            tools.append(planned(name, server.url(f"/{name}")))
        server.redirects["/redirect_for_ever"] = "/redirect_for_ever"
        server.add("/large", bytes(LIMITS["downloadBytes"] + 1))
        server.add("/other", SCRIPT + b"#")
        tools += [
            planned("redirect_for_ever", server.url("/redirect_for_ever")),
            planned("larger_than_allowed", server.url("/large")),
            planned("another_digest", server.url("/good"), sha256=hashlib.sha256(b"").hexdigest()),
            planned("other_bytes", server.url("/other"), sha256=hashlib.sha256(SCRIPT).hexdigest()),
            planned("not_there", server.url("/nowhere")),
            planned("member_outside", server.url("/good"), program="../../../bin/sh"),
        ]
        made.write_config(tools=tools, limits=LIMITS)
        try:
            yield made.start()
        finally:
            made.close()


def failure(proxy: ToolProxy, name: str) -> str:
    state = proxy.wait_for_state(name, "failed", "ready", timeout_s=240)
    assert state["state"] == "failed", state
    return str(state["error"])


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_no_honest_tool_is_refused_with_a_reason(proxy: ToolProxy, name: str) -> None:
    assert ATTACKS[name].says in failure(proxy, name)
    assert name not in proxy.report()["lock"]["tools"]
    assert proxy.run(name).status_code in (404, 409, 503)


@pytest.mark.parametrize("name", NETWORK)
def test_no_redirect_leads_where_the_policy_does_not(proxy: ToolProxy, name: str) -> None:
    error = failure(proxy, name)

    assert "allowedNetworks" in error or "not a scheme" in error or "there is no such file" in error, error


@pytest.mark.parametrize(
    "name,says",
    [
        ("redirect_for_ever", "redirects"),
        ("larger_than_allowed", "downloadBytes"),
        ("another_digest", "sha256"),
        ("other_bytes", "sha256"),
        ("not_there", "404"),
    ],
)
def test_what_was_not_promised_is_refused(proxy: ToolProxy, name: str, says: str) -> None:
    assert says in failure(proxy, name)


def test_nothing_of_an_attack_is_left_and_the_proxy_is_as_before(proxy: ToolProxy) -> None:
    for name in ATTACKS:
        failure(proxy, name)

    good = proxy.wait_for_state("good", "ready")
    assert proxy.run("good", {"args": ["x"]}).json()["structuredContent"]["stdout"] == "ran x\n"
    assert good["error"] is None or good["error"] == ""
    assert {each.name for each in (proxy.tools / "bin").iterdir()} <= {"good", "member_outside"}
    assert len(list((proxy.tools / "store").iterdir())) == 1
    assert not list((proxy.tools / "staging").iterdir())
    assert not list((proxy.tools / "downloads").iterdir())
    assert not list(proxy.tools.rglob("evil"))
    assert not Path("/tmp/evil").exists()
    peak = next(line for line in Path(f"/proc/{proxy.pid}/status").read_text().splitlines() if "VmHWM" in line)
    assert int(peak.split()[1]) < MEMORY_KIB
    assert httpx.get(f"{proxy.ops_url}/livez").status_code == 200


# Names


def test_a_tool_named_like_a_program_stands_in_for_it_nowhere_else(proxy_with_traps: ToolProxy) -> None:
    """Neither for the programs that install packages, beside the index's password, nor for another tool."""
    proxy = proxy_with_traps
    sprung = list(proxy.root.rglob("*.sprung"))
    assert not sprung

    used = proxy.run("user").json()["structuredContent"]["stdout"].split()
    assert len(used) == len(SHADOWED)
    assert not [path for path in used if path.startswith(str(proxy.tools))]


@pytest.fixture
def proxy_with_traps(tmp_path: Path) -> Iterator[ToolProxy]:
    """One that has downloaded tools called as system programs, and has installed packages after them."""
    made = ToolProxy(tmp_path / "pod").in_a_pod()
    made.add_program("user", f"#!/bin/sh\nfor name in {' '.join(SHADOWED)}; do command -v $name; done\n")
    with ArtifactServer() as server, PackageIndex() as index, NpmRegistry() as registry:
        index.add_wheel("hello", "1.0", files=CLI, scripts={"hello": "hello:main"})
        registry.add("cli", "1.0.0", manifest={"bin": "cli.js"})
        traps = [planned(name, server.url(f"/{name}")) for name in SHADOWED]
        for name in SHADOWED:
            server.add(f"/{name}", TRAP)
        made.write_config(tools=traps, pythonUrl=index.url, npmRegistry=registry.url)
        made.start()
        for name in SHADOWED:
            made.wait_for_state(name, "ready")
        packages = [planned("hello", "pypi:hello==1.0"), planned("cli", "npm:cli@1.0.0")]
        user = {"name": "user", "custom": {"name": "user", "source": "path:user"}}
        made.reload(tools=[*traps, *packages, user], pythonUrl=index.url, npmRegistry=registry.url)
        for name in ("hello", "cli"):
            made.wait_for_state(name, "ready", timeout_s=90)
        try:
            yield made
        finally:
            made.close()
