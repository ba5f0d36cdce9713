"""What an operator would be told by its platform, for `run` and `render`."""

from importlib import resources
from pathlib import Path

import yaml

from agent_api.toolsconfig import ToolCatalogue, ToolDefinition
from agent_render import PlatformSettings, SettingsError, parse_settings
from agent_render.settings.outside import Proxy
from agentberth.errors import ManifestError
from agentberth.manifest import Finding, read


def platform_settings(file: Path | None) -> PlatformSettings:
    """The settings in `file`, or the defaults, with the catalogue that `deploy/base` has; the file's tools win.

    Raises ManifestError when the file is not a valid settings document.
    """
    settings, findings = examine_settings(file) if file else (PlatformSettings(), ())
    if settings is None:
        raise ManifestError("; ".join(map(str, findings)), cure=f"agentberth validate --settings {file}")
    return with_catalogue(settings)


def with_catalogue(settings: PlatformSettings) -> PlatformSettings:
    """`settings` with the tools that `deploy/base` has, too."""
    return settings.model_copy(update={"catalogue": _catalogue() | settings.catalogue})


def with_own_network(settings: PlatformSettings) -> PlatformSettings:
    """`settings` without the way out of the cluster's network: a laptop's own is in the shell's variables."""
    return settings.model_copy(update={"proxy": Proxy(), "trust": None})


def examine_settings(file: Path) -> tuple[PlatformSettings | None, tuple[Finding, ...]]:
    """The settings in `file`, or None when it has faults, and every fault with its line.

    Raises ManifestError when the file cannot be read or is not YAML.
    """
    documents = read(file)
    if len(documents) > 1:
        raise ManifestError(f"{file}: has {len(documents)} documents, but platform settings are a single document")
    if not documents:
        return PlatformSettings(), ()
    (document,) = documents
    twice = document.repeated_keys()
    try:
        settings = parse_settings(document.data)
    except SettingsError as error:
        return None, (*twice, *map(document.find, error.problems))
    return (None, twice) if twice else (settings, ())


def _catalogue() -> dict[str, ToolDefinition]:
    text = resources.files("agentberth").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    return ToolCatalogue.model_validate(yaml.load(text, Loader=_LOADER)).by_name()  # noqa: S506 - a safe loader


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
