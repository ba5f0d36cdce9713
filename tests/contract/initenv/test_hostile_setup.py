"""A package that runs in the author's setup commands, and prepares for the next time that the Secrets are there.

The init containers of a Pod run again when its sandbox is made anew. What setup left on the volume is there then.
CI tries some of the traps, AGENTBERTH_WHOLE=1 all.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.initenv.git_server import GitServer, Repository
from contract.initenv.harness import Pod
from contract.initenv.hostile_packages import SECRET, assert_unharmed
from contract.initenv.package_index import PackageIndex

HEAD = """\
import json, os, pathlib, shutil, sys, time
shared = pathlib.Path(__file__).parents[2]
own = shared / ".agentberth"
spring = "touch $TMPDIR/sprung /tmp/sprung; echo sprung"
def plant(place, text, mode=0o755):
    path = shared / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)
def forget():
    shutil.rmtree(own / "stamps", ignore_errors=True)
"""
PYTHON = "import os; print('sprung'); open(os.environ.get('TMPDIR', '/tmp') + '/sprung', 'w')\\n"
TRAPS = {
    "settings_of_git": """
config = f'[core]\\n fsmonitor = "{spring}"\\n hooksPath = {shared}/hooks\\n[credential]\\n helper = "!{spring}"\\n'
for folder in (".git", "code/.git", ".agentberth/.git", ".agentberth/staging/code/.git"):
    plant(folder + "/config", config)
    plant(folder + "/HEAD", "ref: refs/heads/main\\n")
    (shared / folder / "objects").mkdir(exist_ok=True)
    (shared / folder / "refs").mkdir(exist_ok=True)
for name in ("post-checkout", "post-index-change", "reference-transaction"):
    plant("hooks/" + name, "#!/bin/sh\\n" + spring)
plant(".gitconfig", config)
""",
    "settings_of_uv_and_python": f"""
for folder in ("", ".agentberth/", ".agentberth/staging/", "sdk/", "sdk/python/", "code/"):
    for name in ("sitecustomize.py", "usercustomize.py", "json.py", "platform.py", "encodings.py"):
        plant(folder + name, {PYTHON!r})
    plant(folder + "trap.pth", "import os; " + {PYTHON!r})
    plant(folder + "uv.toml", 'index-url = "http://127.0.0.1:9/"\\nlink-mode = "symlink"\\n')
    plant(folder + "pip.conf", "[global]\\nindex-url = http://127.0.0.1:9/\\n")
    plant(folder + "pyproject.toml", '[build-system]\\nrequires = []\\nbuild-backend = "x"\\nbackend-path = ["."]\\n')
    plant(folder + "pyvenv.cfg", "home = /tmp\\n")
for name in ("python3", "git", "uv", "sh"):
    plant("sdk/python/bin/" + name, "#!/bin/sh\\n" + spring)
""",
    "links_in_its_own_folder": """
for name in ("stamps", "staging", "cache"):
    shutil.rmtree(own / name, ignore_errors=True)
    (own / name).symlink_to(shared.parent / "etc/agentberth/git")
""",
    "links_where_results_go": """
for name in ("code", "sdk"):
    shutil.rmtree(shared / name, ignore_errors=True)
    (shared / name).symlink_to(shared.parent / "etc/agentberth/git")
""",
    "links_to_what_is_read": """
shutil.rmtree(own / "staging", ignore_errors=True)
(own / "staging").mkdir()
for name in ("code", "packages", "replaced-code", "replaced-packages", "forgotten-code"):
    (own / "staging" / name).symlink_to(shared.parent / "etc/agentberth/git/password")
""",
    "stamps_that_lie": """
for name in ("code", "packages"):
    plant(f".agentberth/stamps/{name}.json", "[" * 100000)
stamp = {"fingerprint": "x", "detail": "", "size_bytes": 0, "versions": {}, "paths": ["../etc/agentberth/git/password"]}
plant(".agentberth/stamps/files.json", json.dumps(stamp))
""",
    "a_process_that_stays_and_writes_the_report": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            for path in (shared.parent / "report.json", "/dev/termination-log"):
                try:
                    open(path, "w").write("sprung")
                except OSError:
                    pass
    os._exit(0)
""",
}
FORGETS = frozenset(TRAPS) - {"links_in_its_own_folder", "stamps_that_lie"}
CHOSEN = [name for number, name in enumerate(TRAPS) if os.environ.get("AGENTBERTH_WHOLE") or number % 3 == 0]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repositories" / "agent")


@pytest.fixture
def server(tmp_path: Path, repository: Repository) -> Iterator[GitServer]:
    repository.commit(main_py="x")
    with GitServer(tmp_path / "repositories") as running:
        yield running


@pytest.mark.parametrize("name", CHOSEN)
def test_what_setup_leaves_springs_nothing_when_the_secrets_are_there_again(
    guarded: Pod, index: PackageIndex, server: GitServer, name: str
) -> None:
    script = HEAD + TRAPS[name] + ("forget()\n" if name in FORGETS else "") + "print('planted')\n"
    index.add_wheel("trap", "1.0", files={"trap.py": script})
    guarded.plan(
        code={
            "kind": "git",
            "repository": server.url("agent"),
            "revision": "main",
            "credentials": "/etc/agentberth/git",
        },
        packages={"runtime": "python", "requirements": ["trap"]},
        index={"pythonUrl": index.url},
        setup=[{"name": "trap", "command": ["python3", "/shared/sdk/python/trap.py"]}],
    )
    guarded.run("--phase", "prepare").prepared()
    assert "planted" in guarded.run("--phase", "setup").stderr

    outcome = guarded.run("--phase", "prepare")

    assert "Traceback" not in outcome.stderr
    assert outcome.report.error is None or outcome.report.error.cure
    assert (guarded.root / "etc/agentberth/git/password").read_text() == SECRET
    assert_unharmed(guarded, outcome)
