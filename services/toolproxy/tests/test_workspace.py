from pathlib import Path

import pytest

from agent_toolproxy.errors import ToolNotReady
from agent_toolproxy.process.workspace import Workspace


def test_a_call_whose_folder_cannot_be_made_says_why(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, tmp_path, tmp_path / "none")
    with pytest.raises(ToolNotReady, match="No such file"), workspace.private_folder():
        pass
