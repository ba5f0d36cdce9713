"""Pins that `agentberth run` has kept, brought into a cluster."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_api.toolslock import LockedTool, PinnedDefinition, ToolsLock
from agentberth.app import main
from agentberth.cluster.kubectl import Kubectl
from agentberth.cluster.toolpins import take_over
from agentberth.errors import CommandError

A, B, C = "a" * 64, "b" * 64, "c" * 64


def lock(*, install: str = A, **definitions: str) -> ToolsLock:
    return ToolsLock(
        tools={"shelf": LockedTool(version="1", sha256=install)},
        definitions={name: PinnedDefinition(hash=each) for name, each in definitions.items()},
    )


def cluster(folder: Path, known: ToolsLock | None) -> tuple[Kubectl, Path]:
    """A kubectl whose cluster has this lock, and the file with what it was told to do."""
    found = {"data": {"tools.lock.json": known.serialise()}} if known else None
    done = folder / "done.jsonl"
    program = folder / "kubectl"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\nwords = sys.argv[1:]\n"
        f"if words[0] == 'get':\n    print({json.dumps(found) if found else ''!r})\nelse:\n"
        f"    said = sys.stdin.read() if '-' in words else ''\n"
        f"    open({str(done)!r}, 'a').write(json.dumps([words, said]) + '\\n')\n"
    )
    program.chmod(0o755)
    return Kubectl(str(program), ()), done


def done_by(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_an_agent_without_pins_is_given_them_with_the_labels_that_the_operator_looks_for(tmp_path: Path) -> None:
    kubectl, done = cluster(tmp_path, None)

    assert take_over(kubectl, "librarian", lock(docs__a=B)) is None

    ((words, said),) = done_by(done)
    assert words[0] == "create"
    (given,) = json.loads(said)["items"]
    assert given["metadata"]["name"] == "librarian-tools-lock"
    assert given["metadata"]["labels"]["agents.example.com/agent"] == "librarian"
    assert ToolsLock.model_validate_json(given["data"]["tools.lock.json"]) == lock(docs__a=B)


def test_what_differs_from_the_pins_of_an_agent_is_approved_and_nothing_else(tmp_path: Path) -> None:
    kubectl, done = cluster(tmp_path, lock(docs__a=A, docs__same=C, docs__only_there=C))

    approved = take_over(kubectl, "librarian", lock(install=B, docs__a=B, docs__same=C, docs__new=C))

    assert approved == {"shelf": B, "docs__a": B, "docs__new": C}
    ((words, _),) = done_by(done)
    assert words[:3] == ["patch", "agenttype", "librarian"]
    assert json.loads(words[-1]) == {"spec": {"tools": {"policy": {"approved": approved}}}}


def test_the_same_pins_change_nothing(tmp_path: Path) -> None:
    kubectl, done = cluster(tmp_path, lock(docs__a=A))

    assert take_over(kubectl, "librarian", lock(docs__a=A)) == {}
    assert done_by(done) == []


def test_more_than_a_spec_can_approve_is_refused(tmp_path: Path) -> None:
    kubectl, done = cluster(tmp_path, lock())

    with pytest.raises(CommandError, match="257 tools differ"):
        take_over(kubectl, "librarian", lock(**{f"docs__{n}": B for n in range(257)}))
    assert done_by(done) == []


def kept(folder: Path) -> Path:
    path = folder / "agentberth.lock"
    pins = json.loads(lock(docs__a=B).serialise())
    path.write_text(json.dumps({"schemaVersion": 1, "agents": {"librarian": pins}}))
    return path


def test_lock_prints_an_object_to_apply(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tools", "lock", "librarian", "--from", str(kept(tmp_path))]) == 0

    printed = yaml.safe_load(capsys.readouterr().out)
    assert (printed["kind"], printed["metadata"]["name"]) == ("ConfigMap", "librarian-tools-lock")
    assert ToolsLock.model_validate_json(printed["data"]["tools.lock.json"]) == lock(docs__a=B)


@pytest.mark.parametrize(
    "words,message",
    [
        (("lock", "librarian"), "--from FILE brings all pins"),
        (("list", "librarian", "--from", "LOCK"), "--from FILE brings all pins"),
        (("approve", "librarian", "docs__a", "--from", "LOCK"), "--from FILE brings all pins"),
        (("approve", "other", "--from", "LOCK"), "has no pins of other"),
        (("lock", "librarian", "--from", "absent"), "has no pins of librarian"),
        (("lock", "librarian", "--from", "BROKEN"), "it is not readable JSON"),
    ],
)
def test_what_cannot_be_brought_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("{")
    paths = {"LOCK": str(kept(tmp_path)), "BROKEN": str(broken)}

    assert main(["tools", *(paths.get(word, word) for word in words)]) != 0

    assert message in capsys.readouterr().err
