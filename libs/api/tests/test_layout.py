import pytest

from agent_api.layout import relocate


@pytest.mark.parametrize(
    "path,moved",
    [
        ("/shared", "/run/pod/shared"),
        ("/shared/code/main.py", "/run/pod/shared/code/main.py"),
        ("/etc/agentberth/init", "/run/pod/etc/agentberth/init"),
        ("/sharedness", "/sharedness"),
        ("/usr/bin/python", "/usr/bin/python"),
        ("/etc/passwd", "/etc/passwd"),
    ],
)
def test_only_the_pods_own_paths_move(path: str, moved: str) -> None:
    assert relocate(path, "/run/pod") == moved


def test_in_the_pod_nothing_moves() -> None:
    assert relocate("/shared/code", "/") == "/shared/code"
