"""Whether an AgentType chooses only what the platform's `allowed` lets it choose.

The platform's own defaults need no permission. A list that is not given allows everything.
"""

from typing import Final

from agent_api.agenttype import AgentType
from agent_render.choices import CHOICES, Choice
from agent_render.errors import UnsupportedError
from agent_render.settings import PlatformSettings

HUB: Final = "docker.io"
"""The registry of an image whose name has no host."""


def check(agent: AgentType, settings: PlatformSettings) -> None:
    """Raises UnsupportedError that names everything that `settings.allowed` refuses."""
    refused = [
        f"{choice.field}: the platform does not allow {value}; allowed: {', '.join(permitted) or 'none'}"
        for choice in CHOICES
        if (permitted := choice.permitted(settings.allowed)) is not None
        for value in choice.chosen(agent)
        if value is not None and not _is_permitted(choice, value, permitted)
    ]
    if refused:
        raise UnsupportedError("; ".join(refused))


def _is_permitted(choice: Choice, value: str, permitted: tuple[str, ...]) -> bool:
    return value in permitted or (choice.is_image and is_from(value, permitted))


def is_from(image: str, registries: tuple[str, ...]) -> bool:
    """Whether `image` is of one of `registries`, each a host or a host with a beginning of the path."""
    name = full_name(image)
    return any(name.startswith(f"{registry.rstrip('/')}/") for registry in registries)


def full_name(image: str) -> str:
    """`image` with the host that all pullers mean where none is named."""
    first, slash, _ = image.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return image
    return f"{HUB}/{image}" if slash else f"{HUB}/library/{image}"
