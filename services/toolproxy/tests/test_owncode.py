from pathlib import Path

import pytest

from agent_toolproxy.errors import InstallError, NotAProgram, NotFound
from agent_toolproxy.installers.owncode import CodeSource


@pytest.mark.parametrize(
    "text", ["code:../x.py", "code:/etc/passwd", "code:a/../../x", "code:a//b", "code:.env", "code:"]
)
def test_a_path_that_leads_elsewhere_is_no_source(text: str) -> None:
    assert CodeSource.read(text) is None


def test_a_program_is_found_by_its_ending_or_its_mode(tmp_path: Path) -> None:
    for name, mode in (("server.py", 0o644), ("run", 0o755), ("notes.txt", 0o644)):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)

    assert CodeSource("server.py").find_in(tmp_path) == tmp_path / "server.py"
    assert CodeSource("run").find_in(tmp_path) == tmp_path / "run"
    with pytest.raises(NotAProgram, match="make it executable"):
        CodeSource("notes.txt").find_in(tmp_path)


def test_what_is_not_there_yet_is_waited_for_and_links_lead_nowhere(tmp_path: Path) -> None:
    code = tmp_path / "code"
    with pytest.raises(NotFound) as error:
        CodeSource("server.py").find_in(code)
    assert isinstance(error.value, InstallError)
    assert error.value.retryable
    code.mkdir()
    (tmp_path / "secret.py").write_text("x")
    (code / "server.py").symlink_to(tmp_path / "secret.py")
    with pytest.raises(NotAProgram, match="leads out"):
        CodeSource("server.py").find_in(code)
