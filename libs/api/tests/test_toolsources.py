"""One more tool source is one more row and one more class: checks, egress, installer and documentation follow."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent_api import toolsources
from agent_toolproxy.installers import packages

ROOT = Path(__file__).parents[3]
ROW_AFTER = '        "path": ToolSourceKind('
ROW = '        "toy": ToolSourceKind(form="toy:name==version", index="https://toys.example:8443"),\n'
CLASS_AFTER = '        "path": PathSource,\n'
CLASS = '        "toy": ToySource,\n'
MODULE = """
from dataclasses import dataclass

@dataclass(frozen=True)
class ToySource:
    name: str
    version: str = ""

    @classmethod
    def read(cls, text):
        name, _, version = text.removeprefix("toy:").partition("==")
        return cls(name, version) if name else None

    def installer(self, parts):
        return f"the installer of {self.name} in {parts}"
"""


def facts(folder: Path, *, row: str, member: str) -> subprocess.CompletedProcess[str]:
    """What the program prints of the source `toy`, with these additions to copies of both tables."""
    tables = {
        "toolsources.py": (Path(toolsources.__file__).read_text(), ROW_AFTER, row),
        "packages.py": (Path(packages.__file__).read_text(), CLASS_AFTER, member),
    }
    for name, (text, place, addition) in tables.items():
        assert text.count(place) == 1
        (folder / name).write_text(text.replace(place, addition + place))
    table = folder / "packages.py"
    table.write_text(table.read_text().replace("\nPACKAGES", "\nfrom toy import ToySource\n\nPACKAGES"))
    (folder / "toy.py").write_text(MODULE)
    program = Path(__file__).with_name("one_more_tool_source.py")
    return subprocess.run([sys.executable, program, folder], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = facts(tmp_path_factory.mktemp("tables"), row=ROW, member=CLASS)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_source_in_the_table_is_accepted_alone_and_as_a_server(toy: dict[str, Any]) -> None:
    assert toy["problems"] == {"toy:ball==1": [], "mcp+stdio:toy:ball==1": []}


def test_the_agent_may_connect_to_the_index_in_the_row(toy: dict[str, Any]) -> None:
    assert toy["egress"] == ["toys.example:8443"]


def test_the_tool_proxy_reads_the_source_and_makes_its_installer(toy: dict[str, Any]) -> None:
    assert toy["parsed"] == {
        "toy:ball==1": "ToySource(name='ball', version='1')",
        "mcp+stdio:toy:ball": "StdioServer(package=ToySource(name='ball', version=''))",
    }
    assert toy["installer"] == "the installer of ball in parts"
    assert "toy:name==version" in toy["refusal"]


def test_the_definition_the_page_and_the_schema_show_its_form(toy: dict[str, Any]) -> None:
    assert "toy:" in toy["definition"]
    assert "toy:name==version" in toy["page"]
    assert "toy:name==version" in toy["schema"]


def test_without_its_row_the_source_is_refused(tmp_path: Path) -> None:
    done = facts(tmp_path, row="", member="")

    assert "SourceInvalid" in done.stderr


def test_each_row_has_its_class_and_a_line_of_the_reference() -> None:
    page = (ROOT / "docs/reference/tools.md").read_text()

    assert set(packages.PACKAGES) == {*toolsources.TOOL_SOURCES, "http"}
    assert [kind.form for kind in toolsources.TOOL_SOURCES.values() if f"| `{kind.form}` |" not in page] == []
