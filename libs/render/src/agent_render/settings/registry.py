"""One registry for all images of the platform, for clusters that reach no other."""

from agent_render.settings import Images, PlatformSettings, RuntimeImage, Runtimes

_IMAGES = tuple(name for name in Images.model_fields if name != "pull_policy")
_RUNTIMES = tuple(Runtimes.model_fields)


def at_registry(settings: PlatformSettings) -> PlatformSettings:
    """The settings with every image of the platform at `settings.registry`; unchanged without one."""
    if not settings.registry:
        return settings
    images = {name: located(getattr(settings.images, name), settings.registry) for name in _IMAGES}
    runtimes = {name: _runtime(getattr(settings.runtimes, name), settings.registry) for name in _RUNTIMES}
    return settings.model_copy(
        update={
            "images": settings.images.model_copy(update=images),
            "runtimes": settings.runtimes.model_copy(update=runtimes),
        }
    )


def located(image: str, registry: str) -> str:
    """The same image at `registry`, which replaces the host that the image names; path, tag and digest stay.

    The first part of a name is a host when it has a dot or a port, or is `localhost`: the rule of all pullers.
    """
    if image.startswith(f"{registry}/"):
        return image
    first, slash, rest = image.partition("/")
    named = bool(slash) and (first == "localhost" or "." in first or ":" in first)
    return f"{registry}/{rest if named else image}"


def _runtime(runtime: RuntimeImage, registry: str) -> RuntimeImage:
    versions = {version: located(image, registry) for version, image in runtime.versions.items()}
    return runtime.model_copy(update={"image": located(runtime.image, registry), "versions": versions})
