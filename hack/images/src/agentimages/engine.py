"""The two builders: buildah, which needs no daemon, and docker where one runs.

Both build with the host's network. On a host with certificate authorities of its own (SSL_CERT_FILE), its
bundle and uv's setting to use it are mounted into each build step; the image keeps at most empty files where
the base has none. Only buildah can mount into build steps; docker builds go without.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .errors import BuildFailedError, NoEngineError

UV_SETTINGS = Path(__file__).resolve().parents[2] / "uv.toml"
LOCAL = "localhost/"
RECIPE_LABEL = "agents.example.com/recipe"
"""A digest of all that an image was made of: one with the same is not made again."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One image to build."""

    tag: str
    dockerfile: Path
    context: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def options(self) -> list[str]:
        """The part of the command line that both builders share."""
        return [
            "--network=host",
            f"--tag={self.tag}",
            f"--file={self.dockerfile}",
            *[f"--build-arg={name}={value}" for name, value in self.arguments.items()],
            *[f"--label={name}={value}" for name, value in self.labels.items()],
        ]


class Engine(Protocol):
    """Builds, looks at and exports images."""

    def build(self, recipe: Recipe) -> None:
        """Builds and tags. Raises BuildFailedError."""

    def label(self, tag: str, name: str) -> str:
        """A label of an image, empty when the image or the label is not there."""

    def identity(self, tag: str) -> str:
        """The image's id. Raises BuildFailedError when it is not there."""

    def size_bytes(self, tag: str) -> int:
        """The unpacked size. Raises BuildFailedError when the image is not there."""

    def export(self, tag: str, target: Path) -> None:
        """Writes a docker archive that carries the tag. Raises BuildFailedError."""


class Buildah(Engine):
    """Images by buildah, in the storage of the user who runs it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._mounts = host_mounts(environ)

    def build(self, recipe: Recipe) -> None:
        volumes = [f"--volume={source}:{target}:ro" for source, target in self._mounts.items()]
        offline = ["--pull-never"] if recipe.arguments.get("BASE", "").startswith(LOCAL) else []
        stream(["buildah", "bud", "--layers", *offline, *volumes, *recipe.options(), str(recipe.context)])

    def label(self, tag: str, name: str) -> str:
        """Read a label, empty when there is none."""
        result = _try(["buildah", "inspect", "--type=image", tag])
        if not result:
            return ""
        labels = json.loads(result)["OCIv1"]["config"].get("Labels") or {}
        return str(labels.get(name, ""))

    def identity(self, tag: str) -> str:
        """Read the id, without its algorithm."""
        return self._listed(tag)["id"].removeprefix("sha256:")

    def size_bytes(self, tag: str) -> int:
        """Read the unpacked size."""
        return parse_size(self._listed(tag)["size"])

    def export(self, tag: str, target: Path) -> None:
        """Write a docker archive."""
        stream(["buildah", "push", "--quiet", tag, f"docker-archive:{target}:{tag}"])

    def _listed(self, tag: str) -> dict[str, str]:
        found: list[dict[str, str]] = json.loads(ask(["buildah", "images", "--json", "--no-trunc", tag]))
        return found[0]


class Docker(Engine):
    """Images by a docker daemon."""

    def build(self, recipe: Recipe) -> None:
        stream(["docker", "build", *recipe.options(), str(recipe.context)])

    def label(self, tag: str, name: str) -> str:
        """Read a label, empty when there is none."""
        form = f'{{{{index .Config.Labels "{name}"}}}}'
        return _try(["docker", "image", "inspect", "--format", form, tag]).strip()

    def identity(self, tag: str) -> str:
        """Read the id, without its algorithm."""
        return ask(["docker", "image", "inspect", "--format", "{{.Id}}", tag]).strip().removeprefix("sha256:")

    def size_bytes(self, tag: str) -> int:
        """Read the unpacked size."""
        return int(ask(["docker", "image", "inspect", "--format", "{{.Size}}", tag]))

    def export(self, tag: str, target: Path) -> None:
        """Write a docker archive."""
        stream(["docker", "save", "--output", str(target), tag])


def find_engine(environ: Mapping[str, str]) -> Engine:
    """Buildah when it is installed, else docker when its daemon answers. Raises NoEngineError."""
    if shutil.which("buildah"):
        return Buildah(environ)
    if shutil.which("docker") and _try(["docker", "info", "--format", "{{.ID}}"]).strip():
        return Docker()
    raise NoEngineError("no buildah on the PATH and no docker daemon: hack/testcluster/bootstrap installs buildah")


def host_mounts(environ: Mapping[str, str]) -> dict[Path, Path]:
    """What build steps need of a host with its own certificate authorities, by path on the host."""
    bundle = environ.get("SSL_CERT_FILE")
    if not bundle:
        return {}
    return {Path(bundle): Path("/etc/ssl/certs/ca-certificates.crt"), UV_SETTINGS: Path("/etc/uv/uv.toml")}


def parse_size(text: str) -> int:
    """Bytes of a size such as `262 MB`, as buildah prints it."""
    number, _, unit = text.strip().partition(" ")
    powers = {"B": 0, "KB": 1, "MB": 2, "GB": 3}
    return round(float(number) * float(1000 ** powers[unit.upper()]))


def stream(argv: Sequence[str], *, cwd: Path | None = None) -> None:
    """Runs a long command with its output on the terminal. Raises BuildFailedError."""
    result = subprocess.run(argv, cwd=cwd, check=False, stdin=subprocess.DEVNULL, env=dict(os.environ))
    if result.returncode:
        raise BuildFailedError(f"{' '.join(argv[:2])} failed with {result.returncode}")


def ask(argv: Sequence[str]) -> str:
    """Runs a short command and returns its output. Raises BuildFailedError with what it said."""
    result = subprocess.run(argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        raise BuildFailedError(f"{' '.join(argv[:3])}: {result.stderr.strip()}")
    return result.stdout


def _try(argv: Sequence[str]) -> str:
    try:
        return ask(argv)
    except BuildFailedError:
        return ""
