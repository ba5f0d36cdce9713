"""Every AgentType and every platform.yaml that a page shows is valid, and how-tos say first what readers get."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from agent_api.agenttype import AgentType
from agent_render import parse_settings
from agentberth.app import parser
from agentberth.manifest import read

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OUTCOME = re.compile(r"\A# .+\n\n(After this (page|checklist)|This page (shows|explains))\b")
TASKS = (
    "add-a-provider", "add-a-tool", "alerts", "approve-calls", "budgets", "clients", "company-cluster", "console",
    "database", "deploy", "develop", "expose", "gitops", "ha", "hundred-agents", "install", "memory", "migrate",
    "model-providers", "monitor", "network", "packages", "pin-everything", "private-index", "private-registry",
    "proxy-and-authorities", "roll-back-an-agent", "rotate-keys", "scale", "share-tool-servers", "strong-roles",
    "test-agents", "uninstall", "upgrade",
)  # fmt: skip
NOT_WHOLE = frozenset({"docs/spec/agenttype.md"})  # its examples are made of the manifests in tests/manifests


def blocks() -> Iterator[tuple[str, str]]:
    """(page and line, text) of each block of YAML."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        name = str(page.relative_to(ROOT))
        if name not in NOT_WHOLE:
            yield from ((f"{name}:{text.count(chr(10), 0, m.start()) + 2}", m[1]) for m in BLOCK.finditer(text))


BLOCKS = list(blocks())
AGENTS = [(where, text) for where, text in BLOCKS if re.search(r"^kind: AgentType$", text, re.MULTILINE)]
SETTINGS = [(where, text) for where, text in BLOCKS if re.match(r"# (.*/)?platform\.yaml", text)]


@pytest.mark.parametrize("text", [text for _, text in AGENTS], ids=[where for where, _ in AGENTS])
def test_an_agenttype_of_a_page_is_valid(text: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(text)

    for document in read(file):
        if document.is_agent_type:
            agent, findings = document.examine()
            assert list(findings) == []
            assert isinstance(agent, AgentType)


@pytest.mark.parametrize("text", [text for _, text in SETTINGS], ids=[where for where, _ in SETTINGS])
def test_platform_settings_of_a_page_are_valid(text: str) -> None:
    parse_settings(yaml.safe_load(text))


@pytest.mark.parametrize("text", [text for _, text in BLOCKS], ids=[where for where, _ in BLOCKS])
def test_yaml_of_a_page_can_be_read(text: str) -> None:
    list(yaml.safe_load_all(text))


def test_there_are_pages_to_judge() -> None:
    assert len(AGENTS) >= 10
    assert SETTINGS


STARTS = ("kind", "laptop", "production")
COMMANDS = re.compile(r"^(?:\$ |    )(?:\.venv/bin/)?agentberth (.+)$", re.MULTILINE)


def commands() -> Iterator[tuple[str, list[str]]]:
    """(page and command, its words) of each call of agentberth that a page shows."""
    for page in (ROOT / "README.md", *PAGES):
        for match in COMMANDS.finditer(page.read_text(encoding="utf-8")):
            line = re.split(r"\s{2,}#|\s[|>&<]|\s\\$", match[1])[0].strip()
            yield f"{page.relative_to(ROOT)}: {line}", shlex.split(line, comments=True)


@pytest.mark.parametrize("words", [words for _, words in commands()], ids=[where for where, _ in commands()])
def test_a_command_of_a_page_is_one_that_the_program_has(words: list[str]) -> None:
    cut = words.index("--") if "--" in words else len(words)

    parser().parse_args(words[:cut])


@pytest.mark.parametrize("name", STARTS)
def test_getting_started_begins_with_what_its_reader_gets(name: str) -> None:
    assert OUTCOME.match((ROOT / f"docs/getting-started/{name}.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", TASKS)
def test_a_page_begins_with_what_its_reader_gets(name: str) -> None:
    assert OUTCOME.match((ROOT / f"docs/how-to/{name}.md").read_text(encoding="utf-8"))
