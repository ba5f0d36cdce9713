"""Reads `init.json`, and says what is wrong with it in one sentence."""

from pathlib import Path

from pydantic import ValidationError

from agent_api.initplan import InitPlan
from agent_initenv.errors import SettingsError

_SHOWN = 3


def read_plan(path: Path) -> InitPlan:
    """The plan in a JSON file. Raises SettingsError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"The plan {path} cannot be read: {error.strerror}.") from error
    try:
        return InitPlan.model_validate_json(text)
    except ValidationError as error:
        raise SettingsError(f"The plan {path} is not valid: {_describe(error)}.") from error


def _describe(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    texts = []
    for one in found[:_SHOWN]:
        where = ".".join(str(part) for part in one["loc"])
        texts.append(f"{where}: {one['msg']}" if where else one["msg"])
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{'; '.join(texts)}{more}"
