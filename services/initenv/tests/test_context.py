from pathlib import Path

from agent_initenv.context import child_environment, make_private_folder
from agent_initenv.volume import Volume


def test_the_private_folder_of_a_killed_run_is_removed(tmp_path: Path) -> None:
    volume = Volume(str(tmp_path))
    first = make_private_folder(tmp_path / "tmp", volume)
    other = make_private_folder(tmp_path / "tmp", Volume(str(tmp_path / "another")))
    (first / "secret").write_text("canary")
    second = make_private_folder(tmp_path / "tmp", volume)
    assert not first.exists()
    assert other.exists()
    assert second.stat().st_mode & 0o777 == 0o700


def test_the_environment_of_children(tmp_path: Path) -> None:
    env = child_environment({"CANARY": "x", "https_proxy": "http://p", "NO_PROXY": ""}, tmp_path)
    assert set(env) == {"PATH", "https_proxy", "HOME", "TMPDIR", "LC_ALL"}
