"""The platform's settings from mounted files."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from agent_api.toolsconfig import ToolCatalogue
from agent_operator.errors import PlatformError
from agent_render import PlatformSettings

Model = TypeVar("Model", bound=BaseModel)


def read_platform(file: Path | None, catalogue: Path | None = None, *, tracing_endpoint: str = "") -> PlatformSettings:
    """The settings of `file` with the tools of `catalogue`, or the built-in ones without a file.

    Where both name a tool, the settings win; `tracing_endpoint` wins over theirs.
    Raises PlatformError with the file and the field that is wrong.
    """
    settings = _read(file, PlatformSettings) if file else PlatformSettings()
    if tracing_endpoint:
        settings = settings.model_copy(update={"tracing_endpoint": tracing_endpoint})
    if catalogue is None:
        return settings
    tools = _read(catalogue, ToolCatalogue).by_name()
    return settings.model_copy(update={"catalogue": tools | settings.catalogue})


def _read(file: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise PlatformError(f"{file}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise PlatformError(f"{file}: is not YAML: {str(error).splitlines()[0]}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PlatformError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
