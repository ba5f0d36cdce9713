"""One more step is one name, one part of the plan, one row and one module: order, report and removal follow."""

import json
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any, get_args

import pytest

import agent_initenv
from agent_api import initplan, initreport, layout
from agent_api.agenttype.environment import OWNED_FOLDERS
from agent_initenv.sequence import STEPS

ROOT = Path(__file__).parents[3]
ADDITIONS = {
    "api/initreport.py": (Path(initreport.__file__), '"glue", "setup"]', '"glue", "toy", "setup"]'),
    "api/initplan.py": (
        Path(initplan.__file__),
        "    glue: PlannedGlue | None = None\n",
        '    glue: PlannedGlue | None = None\n    toy: str = ""\n',
    ),
    "initenv/sequence.py": (
        Path(agent_initenv.__path__[0], "sequence.py"),
        '    StepKind("setup",',
        '    StepKind("toy", plan_toy, _folder("toy", "/shared/toy")),\n    StepKind("setup",',
    ),
}
MODULE = """
from agent_initenv.volume import Stamp, digest


class ToyStep:
    name = "toy"
    title = "a toy"

    def __init__(self, text, context):
        self.text = text
        self.volume = context.volume

    def is_current(self, stamp, retry):
        return stamp.fingerprint == digest(self.text)

    def build(self, retry):
        staged = self.volume.stage(self.name)
        (staged / "text").write_text(self.text)
        stamp = Stamp(digest(self.text))
        self.volume.publish(self.name, staged, self.volume.locate("/shared/toy"), stamp)
        return stamp


def plan_toy(plan, context, source):
    return ToyStep(plan.toy, context) if plan.toy else None
"""


class Copy:
    """The program with a toy step, and a root for it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self._folder = folder
        for name, (source, place, addition) in ADDITIONS.items():
            text = source.read_text()
            assert text.count(place) == 1
            copy = folder / name
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(text.replace(place, addition))
        sequence = folder / "initenv/sequence.py"
        sequence.write_text(sequence.read_text().replace("\nSTEPS", "\nfrom toy import plan_toy\n\nSTEPS"))
        (folder / "toy.py").write_text(MODULE)

    def run(self, **plan: Any) -> dict[str, Any]:
        """The report of a run."""
        file = self._folder / "init.json"
        file.write_text(json.dumps({"agent": "toys", **plan}))
        program = Path(__file__).with_name("one_more_step.py")
        places = ["--root", self.root, "--plan", file, "--report", self._folder / "report.json"]
        command = [sys.executable, *map(str, (program, self._folder, *places))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def outcomes(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["name"], step["outcome"]) for step in report["steps"]]


def test_a_step_in_the_table_is_done_at_its_place_reported_kept_and_removed(copy: Copy) -> None:
    setup = [{"name": "look", "command": ["cat", "/shared/toy/text"]}]
    files = [{"path": "/shared/a", "content": "a"}]

    assert outcomes(copy.run(files=files, toy="ball", setup=setup)) == [
        ("files", "done"),
        ("toy", "done"),
        ("setup", "done"),
    ]
    assert (copy.root / "shared/toy/text").read_text() == "ball"
    assert outcomes(copy.run(files=files, toy="ball", setup=setup))[1] == ("toy", "unchanged")
    assert outcomes(copy.run(files=files)) == [("files", "unchanged")]
    assert not (copy.root / "shared/toy").exists()


def test_each_step_has_its_row_its_part_of_the_plan_and_its_section_of_the_reference() -> None:
    names = [kind.name for kind in STEPS]
    sections = (ROOT / "docs/reference/initenv.md").read_text().splitlines()

    assert ["plan", *names] == list(get_args(initreport.StepName))
    assert [name for name in names if name not in initplan.InitPlan.model_fields] == []
    assert [name for name in names if f"### {name}" not in sections] == []


def test_no_file_of_a_user_may_be_where_a_step_puts_its_folder() -> None:
    places = [value for name, value in vars(layout).items() if name.startswith("SHARED_") and name != "SHARED_BIN"]

    assert {PurePosixPath(place).relative_to(layout.SHARED).parts[0] for place in places} <= set(OWNED_FOLDERS)
