"""The platform's settings from a mounted file."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from agent_operator.errors import PlatformError
from agent_render import PlatformSettings


def read_platform(file: Path | None) -> PlatformSettings:
    """The settings of `file`, or the built-in ones without a file.

    Raises PlatformError with the file and the field that is wrong.
    """
    if file is None:
        return PlatformSettings()
    try:
        return PlatformSettings.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise PlatformError(f"{file}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise PlatformError(f"{file}: is not YAML: {str(error).splitlines()[0]}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PlatformError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
