import pytest

from agentberth.errors import CommandError
from agentberth.local.interpreter import Interpreter, find


@pytest.mark.parametrize(
    "runtime,version,wanted,serves",
    [
        ("python", "3.12", None, True),
        ("python", "3.12", "3.12", True),
        ("python", "3.12", "3.12.4", True),
        ("python", "3.12", "3", True),
        ("python", "3.12", "3.1", False),
        ("python", "3.12", "3.13", False),
        ("nodejs", "22", "22", True),
        ("nodejs", "22", "22.3", True),
        ("nodejs", "22", "2", False),
    ],
)
def test_a_version_is_served_by_its_own_minor_or_major(
    runtime: str, version: str, wanted: str | None, serves: bool
) -> None:
    assert Interpreter(runtime, "x", version).serves(wanted) is serves  # type: ignore[arg-type]


def test_a_version_that_is_not_here_falls_back_to_one_that_is() -> None:
    found = find("python", "3.2")

    assert found.version != "3.2"
    assert ".venv" not in found.program


def test_no_runtime_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(CommandError, match="no nodejs runtime is on the PATH"):
        find("nodejs", None)
