"""All objects of an installation, as a release carries them: the definition of AgentType, and deploy/base.

What an installation may decide is its namespace, its registry and its platform settings. Everything else is kustomize's
or Helm's to change.
"""

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final

import yaml

from agent_api.crd import crd
from agent_render.settings.registry import located

Plain = dict[str, Any]

FILE: Final = "install.yaml"
NAMESPACE: Final = "agentberth-system"
OPERATOR: Final = "agentberth-operator"
"""Name of the Deployment, its account and its rights; also the label `app.kubernetes.io/name` of all of them."""
SELECTOR: Final = f"app.kubernetes.io/name={OPERATOR}"
DEFINITION: Final = "agenttypes.agents.example.com"
PLATFORM, PLATFORM_KEY = "agentberth-platform", "platform.yaml"
CATALOGUE: Final = "agentberth-catalogue"
_OPERATOR_IMAGE: Final = "agent-operator"
_CONFIG_MAPS: Final = {PLATFORM: "checksum/platform", CATALOGUE: "checksum/catalogue"}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Choices:
    """What an installation decides.

    `platform` is laid over the platform settings of the release, section by section. `images` are whole references by
    plain name, such as `agent-operator`; those of the release where a name is missing.
    """

    namespace: str = NAMESPACE
    registry: str = ""
    platform: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)


def installation(choices: Choices) -> list[Plain]:
    """The objects in the order in which they are applied."""
    return [crd(), *without_definition(choices)]


def without_definition(choices: Choices) -> list[Plain]:
    """As `installation`, for what is made and removed beside the definition."""
    text = resources.files("agentberth.cluster").joinpath(FILE).read_text(encoding="utf-8")
    objects = [_moved(one, choices.namespace) for one in yaml.load_all(text, Loader=_LOADER)]
    platform = find(objects, "ConfigMap", PLATFORM)
    settings = _platform(yaml.safe_load(platform["data"][PLATFORM_KEY]), choices)
    platform["data"][PLATFORM_KEY] = yaml.safe_dump(settings, sort_keys=False)
    (container,) = find(objects, "Deployment", OPERATOR)["spec"]["template"]["spec"]["containers"]
    image = choices.images.get(_OPERATOR_IMAGE, container["image"])
    registry = settings.get("registry", "")
    container["image"] = located(image, registry) if registry else image
    return checksummed(objects)


def find(objects: Iterable[Plain], kind: str, name: str) -> Plain:
    """The object of that kind and name. Raises LookupError."""
    for one in objects:
        if one["kind"] == kind and one["metadata"]["name"] == name:
            return one
    raise LookupError(f"there is no {kind} {name} in {FILE}")


def checksummed(objects: list[Plain]) -> list[Plain]:
    """`objects` with the checksums of the ConfigMaps on the operator's Pods, so that a change rolls them."""
    metadata = find(objects, "Deployment", OPERATOR)["spec"]["template"]["metadata"]
    for name, annotation in _CONFIG_MAPS.items():
        data = json.dumps(find(objects, "ConfigMap", name)["data"], sort_keys=True)
        digest = hashlib.sha256(data.encode()).hexdigest()
        metadata["annotations"] = {**metadata.get("annotations", {}), annotation: digest}
    return objects


def _platform(release: Plain, choices: Choices) -> Plain:
    sidecars = {name: image for name, image in choices.images.items() if name.startswith("agent-")}
    names = {name.removeprefix("agent-"): image for name, image in sidecars.items() if name != _OPERATOR_IMAGE}
    settings = _laid_over(release, {"images": names}) if names else release
    settings = _laid_over(settings, choices.platform)
    return {**settings, "registry": choices.registry} if choices.registry else settings


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Plain:
    merged = dict(copy.deepcopy(dict(below)))
    for key, value in above.items():
        here = merged.get(key)
        merged[key] = _laid_over(here, value) if isinstance(here, Mapping) and isinstance(value, Mapping) else value
    return merged


def _moved(one: Plain, namespace: str) -> Plain:
    metadata = one["metadata"]
    if one["kind"] == "Namespace":
        metadata["name"] = namespace
    if "namespace" in metadata:
        metadata["namespace"] = namespace
    for subject in one.get("subjects", ()):
        subject["namespace"] = namespace
    return one
