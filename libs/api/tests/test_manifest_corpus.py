"""The corpus of manifests: good ones are accepted whole, bad ones get exactly the message they must give."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_api.problems import examine

MANIFESTS = Path(__file__).parents[3] / "tests" / "manifests"


def files(kind: str) -> list[Path]:
    return sorted((MANIFESTS / kind).glob("*.yaml"))


def load(file: Path) -> tuple[dict[str, Any], dict[str, str]]:
    text = file.read_text()
    return yaml.safe_load(text), dict(re.findall(r"^# (\w+): (.*)$", text, re.MULTILINE))


def test_the_corpus_is_large_enough() -> None:
    assert len(files("invalid")) >= 40
    assert len(files("valid")) >= 6


@pytest.mark.parametrize("file", files("valid"), ids=lambda f: f.stem)
def test_valid_manifest_is_accepted_without_a_word(file: Path) -> None:
    document, _ = load(file)

    verdict = examine(document)

    assert verdict.problems == ()
    assert verdict.agent is not None
    assert verdict.agent.metadata.name == document["metadata"]["name"]


@pytest.mark.parametrize("file", files("invalid"), ids=lambda f: f.stem)
def test_invalid_manifest_gives_its_message(file: Path) -> None:
    document, expected = load(file)

    verdict = examine(document)

    assert verdict.agent is None
    found = [(p.field, p.message) for p in verdict.errors]
    assert any(f == expected["field"] and expected["message"] in m for f, m in found), found


@pytest.mark.parametrize("file", files("invalid"), ids=lambda f: f.stem)
def test_invalid_manifest_has_one_fault_only(file: Path) -> None:
    """So that a test of the API server with the same file cannot pass for another reason."""
    document, _ = load(file)

    assert len(examine(document).errors) == 1
