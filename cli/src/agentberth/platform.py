"""What an operator would be told by its platform, for `run` and `render`."""

from importlib import resources
from pathlib import Path

import yaml
from pydantic import ValidationError

from agent_api.toolsconfig import ToolCatalogue, ToolDefinition
from agent_render import PlatformSettings
from agentberth.errors import ManifestError
from agentberth.manifest import read


def platform_settings(file: Path | None) -> PlatformSettings:
    """The settings in `file`, or the defaults, with the catalogue that `deploy/base` has; the file's tools win.

    Raises ManifestError when the file is not a valid settings document.
    """
    settings = _settings(file) if file else PlatformSettings()
    return settings.model_copy(update={"catalogue": _catalogue() | settings.catalogue})


def _settings(file: Path) -> PlatformSettings:
    documents = read(file)
    try:
        return PlatformSettings.model_validate(documents[0].data if documents else {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ManifestError(": ".join(filter(None, (str(file), place, first["msg"])))) from error


def _catalogue() -> dict[str, ToolDefinition]:
    text = resources.files("agentberth").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    return ToolCatalogue.model_validate(yaml.load(text, Loader=_LOADER)).by_name()  # noqa: S506 - a safe loader


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
