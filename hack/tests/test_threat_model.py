"""THREAT_MODEL.md names the test of each attack: a test that was renamed or removed must not stand there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODEL = (ROOT / "THREAT_MODEL.md").read_text()
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
ROWS = re.findall(r"^\| (?P<attack>[^|]+) \| \[(?P<test>test_\w+)\]\((?P<path>[^)]+)\) \|$", MODEL, re.MULTILINE)


def test_each_row_of_the_attacks_has_a_test() -> None:
    section = MODEL.partition("## Attacks that are tried")[2].partition("\n## ")[0]

    assert len(ROWS) >= 30
    assert section.count("\n| ") - 1 == len(ROWS)


@pytest.mark.parametrize("attack,test,path", ROWS)
def test_each_test_that_is_named_exists(attack: str, test: str, path: str) -> None:
    tree = ast.parse((ROOT / path).read_text())

    assert test in {node.name for node in ast.walk(tree) if isinstance(node, FUNCTIONS)}, attack
