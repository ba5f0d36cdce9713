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
PATIENCE_S = 240.0
"""For all attacks of a kind, which are tried one after the other."""
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


@pytest.fixture
def server() -> Iterator[ArtifactServer]:
    with ArtifactServer() as made:
        yield made


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[ToolProxy]:
    made = ToolProxy(tmp_path / "pod").in_a_pod()
    yield made
    made.close()


def failures(proxy: ToolProxy, server: ArtifactServer, tools: list[dict[str, Any]]) -> dict[str, str]:
    """What a person is told of each of `tools`, none of which gets ready; one that is good does."""
    good = planned("good", server.url("/good"), sha256=server.add("/good", SCRIPT))
    proxy.write_config(tools=[*tools, good], limits=LIMITS)
    proxy.start()
    proxy.wait_for_state("good", "ready", timeout_s=PATIENCE_S)
    found = {tool["name"]: proxy.wait_for_state(tool["name"], "failed", "ready") for tool in tools}
    assert not [name for name, tool in found.items() if tool["state"] != "failed"]
    return {name: str(tool["error"]) for name, tool in found.items()}


def assert_unharmed(proxy: ToolProxy) -> None:
    """Nothing is left of what failed, and the good tool works."""
    assert proxy.run("good", {"args": ["x"]}).json()["structuredContent"]["stdout"] == "ran x\n"
    assert [each.name for each in (proxy.tools / "bin").iterdir()] == ["good"]
    assert len(list((proxy.tools / "store").iterdir())) == 1
    assert not list((proxy.tools / "staging").iterdir())
    assert not list((proxy.tools / "downloads").iterdir())
    assert not list(proxy.tools.rglob("evil"))
    assert not Path("/tmp/evil").exists()
    assert list(proxy.report()["lock"]["tools"]) == ["good"]
    peak = next(line for line in Path(f"/proc/{proxy.pid}/status").read_text().splitlines() if "VmHWM" in line)
    assert int(peak.split()[1]) < MEMORY_KIB
    assert httpx.get(f"{proxy.ops_url}/livez").status_code == 200


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ATTACKS)
def test_what_is_no_honest_tool_is_refused_with_a_reason(proxy: ToolProxy, server: ArtifactServer, kind: str) -> None:
    attacks = ATTACKS[kind]
    for name, attack in attacks.items():
        server.add(f"/{name}", attack.content)

    told = failures(proxy, server, [planned(name, server.url(f"/{name}"), program="hello") for name in attacks])

    assert not {name: error for name, error in told.items() if attacks[name].says not in error}
    assert_unharmed(proxy)


def test_no_redirect_leads_where_the_policy_does_not(proxy: ToolProxy, server: ArtifactServer) -> None:
    for name, location in NETWORK.items():
        server.redirects[f"/{name}"] = location
    refusals = ("allowedNetworks", "not a scheme", "there is no such file")

    told = failures(proxy, server, [planned(name, server.url(f"/{name}")) for name in NETWORK])

    assert not {name: error for name, error in told.items() if not any(each in error for each in refusals)}
    assert_unharmed(proxy)


def test_what_was_not_promised_is_refused(proxy: ToolProxy, server: ArtifactServer) -> None:
    server.redirects["/for_ever"] = "/for_ever"
    server.add("/large", bytes(LIMITS["downloadBytes"] + 1))
    server.add("/other", SCRIPT + b"#")
    promised = hashlib.sha256(SCRIPT).hexdigest()
    says = {"for_ever": "redirects", "large": "downloadBytes", "other": "sha256", "nowhere": "404"}
    tools = [
        planned(name, server.url(f"/{name}"), **({"sha256": promised} if name == "other" else {})) for name in says
    ]

    told = failures(proxy, server, tools)

    assert not {name: error for name, error in told.items() if says[name] not in error}
    assert_unharmed(proxy)


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
