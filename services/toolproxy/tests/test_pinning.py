from pathlib import Path
from typing import Any

import pytest

from agent_api.toolsconfig import ToolsConfig, ToolsPolicy
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import (
    ChecksumMismatch,
    NotAllowed,
    PinMismatch,
)
from agent_toolproxy.store.lockfile import LockedTool, LockFile
from agent_toolproxy.tools.pinning import Pins, hash_definition


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
    with pytest.raises(NotAllowed, match="requireChecksum"):
        pins.check_install("t", locked("a"), sha256="")
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
    pins = Pins(again, config())
    drift = pins.judge({"s__t": second})["s__t"]
    assert (drift.pinned, drift.seen) == (hash_definition(first), hash_definition(second))
    pins = Pins(again, config(ToolsPolicy(approved={"s__t": drift.seen})))
    assert pins.judge({"s__t": second}) == {}


def test_the_hash_is_of_what_a_model_reads() -> None:
    definition = {"name": "t", "inputSchema": {"b": 1, "a": [1, 2]}}
    assert hash_definition(definition) == hash_definition(
        {"inputSchema": {"a": [1, 2], "b": 1}, "name": "t", "icons": []}
    )
    assert hash_definition(definition) != hash_definition({**definition, "inputSchema": {"b": 1, "a": [2, 1]}})
