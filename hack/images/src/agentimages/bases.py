"""Base images for machines that reach no registry, each built once per version of its recipe."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testcluster.cache import digest, locked

from . import rootfs
from .engine import RECIPE_LABEL, Engine, Recipe
from .errors import UnknownImageError

FOLDER = Path(__file__).resolve().parents[2] / "bases"
DEBIAN = "debian"


@dataclass(frozen=True)
class Base:
    """A base image: the name people use, and its tag."""

    name: str
    tag: str

    @property
    def dockerfile(self) -> Path:
        return FOLDER / f"{self.name}.Dockerfile"


BASES = {
    base.name: base
    for base in (
        Base(DEBIAN, "localhost/agentberth-base-debian:trixie"),
        Base("python", "localhost/agentberth-base-python:3.13"),
        Base("nodejs", "localhost/agentberth-base-nodejs:20"),
        Base("nginx", "localhost/nginx:1.26"),
        Base("redis", "localhost/agentberth-base-redis:8"),
    )
}
"""The tags carry the versions that this Debian has."""


class BaseBuilder:
    """Builds bases and what they stand on."""

    def __init__(self, *, engine: Engine, cache: Path, environ: Mapping[str, str]) -> None:
        self._engine = engine
        self._cache = cache
        self._mirror = environ.get("AGENTBERTH_DEBIAN_MIRROR", "")

    def ensure(self, name: str) -> Base:
        """The base of that name, built if its recipe changed. Raises UnknownImageError, BuildFailedError."""
        if name not in BASES:
            raise UnknownImageError(f"no base {name!r}; there are {', '.join(BASES)}")
        with locked(self._cache / "bases.lock"):
            if name != DEBIAN:
                self._build(BASES[DEBIAN])
            self._build(BASES[name])
        return BASES[name]

    def _build(self, base: Base) -> None:
        recipe = self.recipe_hash(base)
        if self._engine.label(base.tag, RECIPE_LABEL) == recipe:
            print(f"{base.tag}: up to date", flush=True)
            return
        print(f"{base.tag}: building", flush=True)
        with tempfile.TemporaryDirectory(prefix="agentberth-base-") as scratch:
            context = Path(scratch)
            if base.name == DEBIAN:
                self._provide_rootfs(context / "rootfs.tar", recipe)
            arguments = {} if base.name == DEBIAN else {"BASE": BASES[DEBIAN].tag}
            labels = {RECIPE_LABEL: recipe}
            self._engine.build(
                Recipe(tag=base.tag, dockerfile=base.dockerfile, context=context, arguments=arguments, labels=labels)
            )

    def _provide_rootfs(self, target: Path, recipe: str) -> None:
        cached = self._cache / "rootfs" / f"{recipe}.tar"
        if not cached.exists():
            for former in cached.parent.glob("*.tar"):
                former.unlink()
            rootfs.make_rootfs(cached, mirror=self._mirror)
        shutil.copyfile(cached, target)

    def recipe_hash(self, base: Base) -> str:
        """Over all that decides what is in the image, but not over the packages' versions of the day."""
        parts = [BASES[DEBIAN].dockerfile, base.dockerfile, Path(rootfs.__file__)]
        return digest({part.name: part.read_bytes() for part in parts})
