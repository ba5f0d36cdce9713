"""Packages that attack the tool proxy which installs them, and the tools beside them.

All of them are tools of one proxy, beside two honest ones: CI installs a sample, AGENTBERTH_WHOLE=1 all.
"""

import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.initenv.hostile_packages import MANIFESTS, SECRET, TARBALLS, WHEELS, tarball
from contract.initenv.npm_registry import NpmRegistry
from contract.initenv.package_index import PackageIndex
from contract.toolproxy.toolproxy_harness import ToolProxy

WHOLE = os.environ.get("AGENTBERTH_WHOLE") == "1"
HONEST = {"honest-py": "pypi:honest==1.0", "honest-js": "npm:honest@1.0.0"}
Attacks = Mapping[str, tuple[str, str]]


def attacks() -> Attacks:
    """By the name of the tool: the kind of package, and which of the kind."""
    kinds: Mapping[str, Mapping[str, Any]] = {"wheel": WHEELS, "manifest": MANIFESTS, "tarball": TARBALLS}
    named = [(kind, name) for kind, names in kinds.items() for name in names]
    return {f"trap{number}": each for number, each in enumerate(named) if WHOLE or number % 11 == 0}


@contextmanager
def offered(chosen: Attacks) -> Iterator[dict[str, str]]:
    """An index and a registry with all of these; their addresses as fields of tools.json."""
    with PackageIndex() as index, NpmRegistry() as registry:
        module = {"honest.py": "def main():\n    print('honest')\n"}
        index.add_wheel("honest", "1.0", files=module, scripts={"honest-py": "honest:main"})
        registry.add("honest", "1.0.0", manifest={"bin": {"honest-js": "cli.js"}})
        for trap, (kind, name) in chosen.items():
            if kind == "wheel":
                index.add(*WHEELS[name](trap))
            elif kind == "manifest":
                registry.add(trap, "1.0.0", manifest=MANIFESTS[name])
            else:
                registry.add_tarball(trap, "1.0.0", tarball(trap, **TARBALLS[name]))
        yield {"pythonUrl": index.url, "npmRegistry": registry.url}


def planned(sources: Mapping[str, str], *, required: bool = True) -> list[dict[str, Any]]:
    return [
        {"name": name, "required": required, "custom": {"name": name, "source": source}}
        for name, source in sources.items()
    ]


def run(proxy: ToolProxy, name: str) -> str:
    return str(proxy.run(name, {"args": []}).json()["structuredContent"]["stdout"])


def belongings(proxy: ToolProxy) -> dict[str, str]:
    """Every file of the honest tools, and every other one that no package may write."""
    digests = [tool["digest"] for tool in proxy.report()["tools"] if tool["name"] in HONEST]
    folders = [proxy.tools / "store" / digest for digest in digests]
    folders += [proxy.tools / "bin", proxy.workspace, proxy.root / "etc"]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files += [path for name in HONEST for path in proxy.tools.glob(f"records/{name}*")]
    written = ("tools.lock.json", "tools.lock.d", "tools.json")
    own = [path for path in files if not {path.name, path.parent.name} & set(written)]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in own}


def assert_stays_inside(proxy: ToolProxy) -> None:
    """Nothing in the store leads out, has more rights or holds a credential, and nothing ran."""
    assert not list(proxy.root.rglob("sprung*"))
    assert not [path for path in proxy.root.rglob("evil*") if not path.is_relative_to(proxy.tools / "store")]
    assert not Path("/tmp/evil").exists()
    interpreter = Path(os.path.realpath(sys.executable))
    for folder in (proxy.tools / "store").iterdir():
        for path in folder.rglob("*"):
            mode = path.lstat().st_mode
            assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode), path
            target = Path(os.path.realpath(path))
            assert target.is_relative_to(folder.resolve()) or target == interpreter, path
            assert not (stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID)), path
            assert not stat.S_ISREG(mode) or SECRET.encode() not in path.read_bytes(), path
    log = proxy.log.read_text()
    assert SECRET not in log
    assert "Traceback" not in log


@pytest.mark.timeout(600)
def test_hostile_packages_change_no_other_tool_and_run_nothing(tmp_path: Path) -> None:
    chosen = attacks()
    with offered(chosen) as indexes, closing(ToolProxy(tmp_path / "pod").in_a_pod()) as proxy:
        proxy.write_credential("git", "password", SECRET)
        proxy.write_config(tools=planned(HONEST), **indexes)
        proxy.launch()
        for name in HONEST:
            proxy.wait_for_state(name, "ready", timeout_s=300)
        before = belongings(proxy)
        assert len(before) > 4

        traps = {trap: f"pypi:{trap}==1.0" if chosen[trap][0] == "wheel" else f"npm:{trap}@1.0.0" for trap in chosen}
        proxy.write_config(tools=[*planned(HONEST), *planned(traps, required=False)], **indexes)
        for trap in traps:
            proxy.wait_for_state(trap, "ready", "failed", timeout_s=300)

        assert belongings(proxy) == before
        assert_stays_inside(proxy)
        assert run(proxy, "honest-py") == "honest\n"
        assert run(proxy, "honest-js") == "cli\n"
        assert httpx.get(f"{proxy.ops_url}/readyz").status_code == 200
