"""The commands of README and the getting-started pages: run here, run by a named test, or said not to be run.

Those that take minutes run with AGENTBERTH_WHOLE=1 alone.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from contract.examples.test_examples import SAID, STAY

ROOT: Final = Path(__file__).parents[3]
README: Final = ROOT / "README.md"
STARTS: Final = ROOT / "docs/getting-started"
PATIENCE_S: Final = 220
WHOLE: Final = bool(os.environ.get("AGENTBERTH_WHOLE"))

COMMAND: Final = re.compile(r"^(?:\$ |> |    )((?:\.venv/bin/|hack/)?[a-z][^#\n]*?)(?:\s+#.*)?$", re.MULTILINE)
FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE: Final = re.compile(r"# ([\w/.-]+)$", re.MULTILINE)

RUN_BY: Final[Mapping[str, str]] = {
    r"\.venv/bin/agentberth run examples/\S+ --console": "tests/contract/console/test_console_browser.py",
    r"\.venv/bin/agentberth console": "tests/integration/test_console_cluster.py",
    r"\.venv/bin/agentberth test examples/": "tests/contract/examples/test_examples.py",
    r"\.venv/bin/agentberth (check|install)": "tests/integration/test_preflight.py",
    r"\.venv/bin/agentberth diagnose NAME": "tests/integration/test_causes.py",
    r"(pip install agentberth-\S+\.whl|agentberth (init|run) my-agent.*)": "tests/contract/release/test_wheel.py",
    r"docker compose up": "tests/compose/test_compose.py",
    r"\./run-tests\.sh( unit)?": "hack/tests/test_run_tests.py",
    r"make check": "run-tests.sh",
}
"""Commands that other tests run, by a pattern; the file says so itself."""
NOT_RUN: Final[Mapping[str, str]] = {
    r"hack/kind-with-registry\.sh up && tilt up": "docs/how-to/develop.md",
    r"(kind|docker|kubectl|for|done|sed|curl)\b.*": "docs/getting-started/kind.md",
    r"\.venv/bin/agentberth run agent\.yaml secrets\.yaml": "docs/getting-started/laptop.md",
}
"""Commands that no test runs, and the page that says so."""
HERE: Final = (
    r"make demo",
    r"\.venv/bin/agentberth validate (examples/|agent\.yaml)",
    r"\.venv/bin/agentberth render examples/template/agent\.yaml",
    r"\.venv/bin/agentberth run (agent\.yaml --mock-llm|helper/agent\.yaml)",
)


def commands(page: Path) -> Iterator[str]:
    """Each line of the page that a reader types."""
    yield from (match[1].strip() for match in COMMAND.finditer(prose_and_consoles(page)))


def prose_and_consoles(page: Path) -> str:
    return FENCE.sub(lambda m: m[0] if m[1] == "console" else "", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [README, *sorted(STARTS.glob("*.md"))], ids=lambda page: page.stem)
def test_every_command_is_run_by_a_test_or_said_not_to_be(page: Path) -> None:
    for command in commands(page):
        example = re.fullmatch(r"\.venv/bin/agentberth run examples/([\w-]+)/agent\.yaml", command)
        if example:
            assert example[1] in {*SAID, *STAY}, command
            continue
        known = [pattern for pattern in (*RUN_BY, *NOT_RUN, *HERE) if re.fullmatch(pattern, command)]
        assert known, f"{page.name}: who runs `{command}`?"


def test_a_command_that_is_not_run_is_marked_and_the_others_have_their_test() -> None:
    for where in NOT_RUN.values():
        assert re.search(r"[Oo]ur tests do not run", (ROOT / where).read_text(encoding="utf-8")), where
    for where in RUN_BY.values():
        assert (ROOT / where).is_file(), where


def files_of(page: Path, folder: Path) -> None:
    """Writes the files that the page shows: those whose first line is their name, as `# agent/main.py`."""
    for language, text in FENCE.findall(page.read_text(encoding="utf-8")):
        named = FILE.match(text)
        if language in {"python", "yaml"} and named:
            file = folder / named[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


def call(command: str, folder: Path) -> str:
    """What a command of a page prints, on both of its outputs."""
    words = command.replace(".venv/bin/agentberth", f"{sys.executable} -m agentberth").split()
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    done = subprocess.run(
        words,
        cwd=folder,
        env={**environment, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * (4 if WHOLE else 1),
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_the_laptop_page_leads_to_an_agent_that_runs(tmp_path: Path) -> None:
    files_of(STARTS / "laptop.md", tmp_path)

    said = [call(command, tmp_path) for command in commands(STARTS / "laptop.md") if re.fullmatch(HERE[1], command)]
    answer = call(".venv/bin/agentberth run agent.yaml --mock-llm", tmp_path)

    assert said == ["1 AgentType checked: no errors\n"]
    assert "This is a mock: no model was asked." in answer


@pytest.mark.skipif(not WHOLE, reason="installs the packages of a framework: AGENTBERTH_WHOLE=1")
def test_the_laptop_page_leads_to_an_agent_with_framework_tool_and_memory(tmp_path: Path) -> None:
    files_of(STARTS / "laptop.md", tmp_path)

    said = [call(".venv/bin/agentberth run helper/agent.yaml", tmp_path) for _ in range(2)]

    assert "run 1: git is there" in said[0]


def test_the_readme_validates_its_examples_and_renders_one(tmp_path: Path) -> None:
    files_of(STARTS / "laptop.md", tmp_path)

    listed = subprocess.run(
        ["git", "ls-files", "examples/"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    for name in listed.stdout.split():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((ROOT / name).read_bytes())

    assert "AgentTypes checked: no errors" in call(".venv/bin/agentberth validate examples/", tmp_path)
    assert "kind: Job" in call(".venv/bin/agentberth render examples/template/agent.yaml", tmp_path)


@pytest.mark.skipif(not WHOLE, reason="makes an environment in a clone: AGENTBERTH_WHOLE=1")
@pytest.mark.timeout(900)
def test_the_demo_runs_in_a_fresh_clone(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True, timeout=PATIENCE_S)

    assert "says the model of standby" in call("make demo", clone)
    assert (clone / "build/demo.html").is_file()
