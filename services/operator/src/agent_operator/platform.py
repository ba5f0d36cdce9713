"""The platform's settings from mounted files."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from agent_api.toolsconfig import ToolCatalogue
from agent_operator.errors import PlatformError
from agent_render import PlatformSettings, SettingsError, parse_settings


def read_platform(
    file: Path | None,
    catalogue: Path | None = None,
    *,
    tracing_endpoint: str = "",
    storage_class: str = "",
    namespace: str = "",
) -> PlatformSettings:
    """The settings of `file`, laid over the built-in ones, with the tools of `catalogue`.

    Where both name a tool, the settings win; `tracing_endpoint` and `storage_class` win over theirs. `namespace` is the
    operator's own, which agents let its requests in from unless the settings name another.
    Raises PlatformError with the file and every field that is wrong.
    """
    settings = _settings(file) if file else PlatformSettings()
    given = {"tracing_endpoint": tracing_endpoint, "storage_class": storage_class}
    settings = settings.model_copy(update={name: value for name, value in given.items() if value})
    if namespace and not settings.network.operator_namespace:
        network = settings.network.model_copy(update={"operator_namespace": namespace})
        settings = settings.model_copy(update={"network": network})
    if catalogue is None:
        return settings
    tools = _tools(catalogue).by_name()
    return settings.model_copy(update={"catalogue": tools | settings.catalogue})


def _settings(file: Path) -> PlatformSettings:
    try:
        return parse_settings(_read(file))
    except SettingsError as error:
        raise PlatformError(f"{file}: {error}") from error


def _tools(file: Path) -> ToolCatalogue:
    try:
        return ToolCatalogue.model_validate(_read(file) or {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PlatformError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _read(file: Path) -> Any:  # noqa: ANN401 - YAML
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlatformError(f"{file}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise PlatformError(f"{file}: is not YAML: {str(error).splitlines()[0]}") from error
