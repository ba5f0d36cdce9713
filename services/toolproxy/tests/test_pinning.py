import json
from pathlib import Path
from typing import Any

import pytest

from agent_api.toolsconfig import ToolsConfig, ToolsPolicy
from agent_api.toolslock import LockedTool
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import (
    ChecksumMismatch,
    NotAllowed,
    PinMismatch,
)
from agent_toolproxy.store.lockfile import LockFile
from agent_toolproxy.tools.pinning import Pins, hash_definition, pin_of


@pytest.fixture
def lock(tmp_path: Path) -> LockFile:
    return LockFile(tmp_path / "own", tmp_path / "workspace")


def config(policy: ToolsPolicy | None = None) -> CurrentConfig:
    return CurrentConfig(ToolsConfig(agent="x", policy=policy or ToolsPolicy()))


def locked(sha256: str, version: str = "1") -> LockedTool:
    return LockedTool(version=version, source="s", platform="p", sha256=sha256)


@pytest.mark.parametrize("pinning,refused", [("Enforce", True), ("Warn", False), ("Off", False)])
def test_installs_are_held_to_the_first(lock: LockFile, pinning: Any, refused: bool) -> None:
    pins = Pins(lock, config(ToolsPolicy(pinning=pinning)))
    pins.check_install("t", locked("a"), sha256="")
    pins.record_install("t", locked("a"))
    pins.check_install("t", locked("b", version="2"), sha256="")
    if refused:
        with pytest.raises(PinMismatch, match=r"policy\.approved"):
            pins.check_install("t", locked("b"), sha256="")
        pins = Pins(lock, config(ToolsPolicy(approved={"t": "b"})))
    pins.check_install("t", locked("b"), sha256="")


def test_promised_digests_decide_before_pins(lock: LockFile) -> None:
    pins = Pins(lock, config(ToolsPolicy(require_checksum=True)))
    download = locked("a").model_copy(update={"source": "https://e.com/t"})
    with pytest.raises(NotAllowed, match="requireChecksum"):
        pins.check_install("t", download, sha256="")
    pins.check_install("t", locked("a").model_copy(update={"source": "pypi:t==1"}), sha256="")
    with pytest.raises(ChecksumMismatch):
        pins.check_install("t", locked("a"), sha256="b")
    pins.record_install("t", locked("z"))
    pins.check_install("t", locked("a"), sha256="a")


def test_definitions_are_held_to_the_first(lock: LockFile, tmp_path: Path) -> None:
    pins = Pins(lock, config())
    first, second = {"name": "s__t", "description": "a"}, {"name": "s__t", "description": "b"}
    assert pins.judge({"s__t": first}) == {}
    again = LockFile(tmp_path / "elsewhere", tmp_path / "workspace")
    again.load()
    again.hold_to(lock.lock)
    pins = Pins(again, config())
    drift = pins.judge({"s__t": second})["s__t"]
    assert drift.pinned is not None
    assert (drift.pinned.hash, drift.seen.hash) == (hash_definition(first), hash_definition(second))
    assert '- "description": "a"' in drift.diff()
    assert '+ "description": "b"' in drift.diff()
    pins = Pins(again, config(ToolsPolicy(approved={"s__t": drift.seen.hash})))
    assert pins.judge({"s__t": second}) == {}


def test_the_workspace_decides_nothing(lock: LockFile, tmp_path: Path) -> None:
    Pins(lock, config()).judge({"s__t": {"name": "s__t"}})

    again = LockFile(tmp_path / "elsewhere", tmp_path / "workspace")
    again.load()

    assert not again.lock.definitions


def test_a_new_tool_of_a_pinned_server_waits_for_approval(lock: LockFile) -> None:
    pins = Pins(lock, config())
    assert pins.judge({"s__a": {"name": "s__a"}, "s__b": {"name": "s__b"}}) == {}

    drifts = pins.judge({"s__c": {"name": "s__c"}, "other__c": {"name": "other__c"}})

    assert set(drifts) == {"s__c"}
    assert "had not when it was first seen" in drifts["s__c"].describe()
    approved = {"s__c": drifts["s__c"].seen.hash}
    assert Pins(lock, config(ToolsPolicy(approved=approved))).judge({"s__c": {"name": "s__c"}}) == {}


SCHEMA: dict[str, Any] = {"type": "object", "properties": {"description": {"type": "string", "description": "x"}}}


@pytest.mark.parametrize(
    "changed,only_texts",
    [
        ({"description": "new"}, True),
        ({"title": "new"}, True),
        ({"inputSchema": {**SCHEMA, "properties": {"description": {"type": "string", "description": "y"}}}}, True),
        ({"inputSchema": {**SCHEMA, "properties": {"description": {"type": "number", "description": "x"}}}}, False),
        ({"inputSchema": {**SCHEMA, "properties": {}}}, False),
        ({"inputSchema": {**SCHEMA, "properties": {**SCHEMA["properties"], "title": {"type": "string"}}}}, False),
        ({"inputSchema": {**SCHEMA, "required": ["description"]}}, False),
        ({"annotations": {"readOnlyHint": True}}, False),
    ],
)
def test_an_edit_of_texts_is_told_from_a_change_of_what_may_be_passed(
    lock: LockFile, changed: dict[str, Any], only_texts: bool
) -> None:
    before = {"name": "s__t", "description": "old", "inputSchema": SCHEMA}
    Pins(lock, config()).judge({"s__t": before})

    drifts = Pins(lock, config(ToolsPolicy(pinning="EnforceSchema"))).judge({"s__t": {**before, **changed}})

    assert (not drifts) == only_texts


def test_the_hash_is_of_what_a_model_reads() -> None:
    definition = {"name": "t", "inputSchema": {"b": 1, "a": [1, 2]}}
    assert hash_definition(definition) == hash_definition(
        {"inputSchema": {"a": [1, 2], "b": 1}, "name": "t", "icons": []}
    )
    assert hash_definition(definition) != hash_definition({**definition, "inputSchema": {"b": 1, "a": [2, 1]}})


CALLED: dict[str, Any] = {
    "name": "s__a",
    "title": "T",
    "description": "d",
    "annotations": {"readOnlyHint": True, "title": "x"},
    "inputSchema": {
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": "x", "examples": ["a"], "default": {"title": "v"}},
            "kind": {"const": {"description": "k"}, "allOf": [{"title": "t"}]},
            "n": {"type": "integer", "minimum": 0, "enum": [{"title": "a"}]},
        },
        "required": ["n"],
        "dependentRequired": {"title": ["n"]},
        "$defs": {"description": {"type": "string", "description": "zz"}},
    },
    "outputSchema": {"type": "object", "properties": {"a": {"type": "string"}}},
}
WORDS: dict[str, tuple[str, Any]] = {
    "description": ("description", "new"),
    "title": ("title", "new"),
    "title_of_annotations": ("annotations.title", "new"),
    "description_of_a_property": ("inputSchema.properties.title.description", "new"),
    "examples": ("inputSchema.properties.title.examples", ["b"]),
    "comment": ("inputSchema.$comment", "new"),
    "within_all_of": ("inputSchema.properties.kind.allOf", [{"title": "new"}]),
    "within_a_definition": ("inputSchema.$defs.description.description", "new"),
    "more_text": ("outputSchema.properties.a.description", "new"),
}
MEANINGS: dict[str, tuple[str, Any]] = {
    "hint": ("annotations.readOnlyHint", False),
    "another_property": ("inputSchema.properties.description", {"type": "string"}),
    "type": ("inputSchema.properties.n.type", "number"),
    "bound": ("inputSchema.properties.n.minimum", -1),
    "const": ("inputSchema.properties.kind.const", {"description": "other"}),
    "enum": ("inputSchema.properties.n.enum", [{"title": "b"}]),
    "default": ("inputSchema.properties.title.default", {"title": "other"}),
    "required": ("inputSchema.required", []),
    "dependency": ("inputSchema.dependentRequired", {"title": ["kind"]}),
    "definition": ("inputSchema.$defs.description.type", "number"),
    "all_of": ("inputSchema.properties.kind.allOf", [{"title": "t", "minLength": 1}]),
    "output": ("outputSchema.properties.a.type", "number"),
    "vendor": ("inputSchema.x-run-as", {"description": "root"}),
    "title_that_is_no_text": ("inputSchema.title", {"type": "object"}),
}


def changed(path: str, value: Any) -> dict[str, Any]:
    definition = json.loads(json.dumps(CALLED))
    *above, last = path.split(".")
    place = definition
    for name in above:
        place = place[name]
    place[last] = value
    result: dict[str, Any] = definition
    return result


@pytest.mark.parametrize("edit", [*WORDS, *MEANINGS])
def test_an_edit_of_words_is_told_from_a_change_of_what_may_be_passed(edit: str) -> None:
    before, after = pin_of(CALLED), pin_of(changed(*{**WORDS, **MEANINGS}[edit]))

    assert before.hash != after.hash
    assert (before.call_hash == after.call_hash) == (edit in WORDS)
