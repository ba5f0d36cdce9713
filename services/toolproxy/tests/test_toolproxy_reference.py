from pathlib import Path

import yaml

from agent_api.toolsconfig import ToolOptions
from agent_kit.settings import describe
from agent_toolproxy import __version__
from agent_toolproxy.settings import ToolProxySettings

ROOT = Path(__file__).parents[3]


def test_the_version_is_the_packages() -> None:
    assert f'version = "{__version__}"' in (ROOT / "services/toolproxy/pyproject.toml").read_text()


def test_the_table_of_settings_is_the_codes() -> None:
    page = (ROOT / "docs/reference/toolproxy.md").read_text()
    assert describe(ToolProxySettings) in page


def test_the_page_of_tools_names_the_whole_catalogue_and_every_option() -> None:
    page = (ROOT / "docs/reference/tools.md").read_text()
    catalogue = yaml.safe_load((ROOT / "deploy/base/catalog/tools.yaml").read_text())
    options = [field.alias or name for name, field in ToolOptions.model_fields.items()]
    assert not [name for name in (*options, *(each["name"] for each in catalogue["tools"])) if f"`{name}`" not in page]
