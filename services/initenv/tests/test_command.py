from pathlib import Path

import pytest

from agent_initenv.command import read_options
from agent_initenv.errors import SettingsError


def test_defaults_are_below_the_root(tmp_path: Path) -> None:
    options = read_options(["--root", str(tmp_path)])
    assert options.plan == tmp_path / "etc/agentberth/init/init.json"
    assert options.cache is None
    assert read_options([]).plan == Path("/etc/agentberth/init/init.json")


def test_an_abbreviation_is_no_option() -> None:
    with pytest.raises(SettingsError, match="--help"):
        read_options(["--roo", "/x"])
