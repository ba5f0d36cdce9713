from pathlib import Path

import pytest

from agent_base.redaction import MASK, Redactor
from agent_toolproxy.credentials import Credentials
from agent_toolproxy.errors import (
    ToolNotReady,
)


def test_credentials_are_registered_before_anyone_has_them(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("value\n")
    redactor = Redactor()
    credentials = Credentials(tmp_path, redactor)
    assert credentials.read("key") == "value"
    assert redactor.mask_values("a value") == f"a {MASK}"
    for key in ("missing", "../key", ".hidden"):
        with pytest.raises(ToolNotReady):
            credentials.read(key)
    with pytest.raises(ToolNotReady, match="credentialsSecret"):
        Credentials(None, redactor).read("key")
