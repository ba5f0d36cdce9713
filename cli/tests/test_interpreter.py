from pathlib import Path

import pytest

from agentberth.errors import CommandError
from agentberth.local.interpreter import Interpreter, find, isolate


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
    assert found.limitations.startswith("python 3.2 is not installed here")
    assert ".venv" not in found.program


def test_no_runtime_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(CommandError, match="no nodejs runtime is on the PATH"):
        find("nodejs", None)


UV = """#!/bin/sh
case "$2 $3" in
"install --no-progress") touch "$0.fetched"; [ "$*" = "python install --no-progress --no-bin 3.7" ] ;;
"find --no-project") [ -e "$0.fetched" ] && echo "$(dirname "$0")/fetched-python" ;;
esac
"""
PYTHON = "#!/bin/sh\necho /opt/python3.7; echo 3.7\n"


def test_a_version_that_is_not_here_is_fetched_by_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("uv", UV), ("fetched-python", PYTHON)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert find("python", "3.7.1") == Interpreter("python", "/opt/python3.7", "3.7")


def test_an_isolated_interpreter_is_made_once_and_again_for_another(tmp_path: Path) -> None:
    own = find("python", None)

    isolated = isolate(own, tmp_path / "python")
    (tmp_path / "python" / "kept").write_text("")

    assert isolated.program == str(tmp_path / "python" / "bin" / "python")
    assert isolate(own, tmp_path / "python") == isolated
    assert (tmp_path / "python" / "kept").exists()
    (tmp_path / "python" / "made-for").write_text("another")
    assert isolate(own, tmp_path / "python") == isolated
    assert not (tmp_path / "python" / "kept").exists()


def test_where_no_environment_can_be_made_the_interpreter_is_used_as_it_is(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho no venv here >&2\nexit 1\n")
    program.chmod(0o755)

    found = isolate(Interpreter("python", str(program), "3.12"), tmp_path / "made")

    assert found.program == str(program)
    assert found.limitations.endswith("are visible to the agent: no venv here")
