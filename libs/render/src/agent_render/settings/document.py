"""A settings document of the platform: laid over the defaults key by key, with every fault named at once.

A document says what differs. A field of a section replaces the default of that field alone; a list, and a map whose
keys are free (labels, prices, tools, images by version), is replaced as a whole, since there a default would be an
entry that nobody asked for. Profiles are both: those that are built in are sections, and others stand beside them.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from agent_api.problems import Path, Problem, models_in, translate, without_nulls
from agent_render.errors import SettingsError
from agent_render.settings import PlatformSettings

_NAMED_SECTIONS = "profiles"


def parse_settings(document: Any) -> PlatformSettings:  # noqa: ANN401 - YAML
    """The settings of `document`; those that are built in where it is empty.

    Raises SettingsError with every fault.
    """
    raw = without_nulls(document or {})
    if not isinstance(raw, Mapping):
        raise SettingsError([Problem((), "must be a mapping of settings, such as `securityProfile: restricted`")])
    try:
        return PlatformSettings.model_validate(_merged(PlatformSettings(), raw), by_alias=True, by_name=False)
    except ValidationError as error:
        raise SettingsError(_problems(error)) from error


def _merged(defaults: BaseModel, raw: Mapping[str, Any]) -> dict[str, Any]:
    fields = {info.alias or name: getattr(defaults, name) for name, info in type(defaults).model_fields.items()}
    merged = {key: _plain(value) for key, value in fields.items()}
    for key, value in raw.items():
        section = fields.get(key)
        if isinstance(section, BaseModel) and isinstance(value, Mapping):
            merged[key] = _merged(section, value)
        elif key == _NAMED_SECTIONS and isinstance(section, dict) and isinstance(value, Mapping):
            merged[key] |= {
                name: _merged(section[name], own) if name in section and isinstance(own, Mapping) else own
                for name, own in value.items()
            }
        else:
            merged[key] = value
    return merged


def _plain(value: Any) -> Any:  # noqa: ANN401 - a setting
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value.model_dump(mode="json", by_alias=True) if isinstance(value, BaseModel) else value


def _problems(error: ValidationError) -> Iterator[Problem]:
    for problem in translate(error):
        known = _known_beside(problem.path)
        close = difflib.get_close_matches(str(problem.path[-1]), known, n=1) if problem.path else []
        hint = f': did you mean "{close[0]}"?' if close else f"; known here: {', '.join(sorted(known))}"
        unknown = problem.message == "unknown field"
        yield Problem(problem.path, f"unknown field{hint}") if unknown else problem


def _known_beside(path: Path) -> list[str]:
    """The fields of the section that `path` ends in. Parts that are no field are keys of a map or places in a list."""
    model: type[BaseModel] = PlatformSettings
    for part in path[:-1]:
        fields = {info.alias or name: info for name, info in model.model_fields.items()}
        if part in fields:
            model = next(models_in(fields[str(part)].annotation), model)
    return [info.alias or name for name, info in model.model_fields.items()]
