"""The commands: `build` for the project's images, `base` for those they may start from, `sbom` for what is in them."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from testcluster.cache import cache_dir, digest
from testcluster.errors import ClusterError

from .archives import export
from .bases import BASES, BaseBuilder
from .context import ROOT, content_of, copy_context, revision, sources_of
from .engine import LOCAL, RECIPE_LABEL, Engine, Recipe, find_engine
from .errors import ImageError, UnknownImageError
from .sbom import sbom_path, sbom_text, write_sbom

COMMAND = "cli"
REVISION_LABEL = "org.opencontainers.image.revision"
_EXAMPLES = """examples:
  hack/images/build                                                       all, from the official base
  hack/images/build --base localhost/agentberth-base-python:3.13 initenv  from a base of hack/images/base
"""


@dataclass(frozen=True)
class Built:
    """One image as the table at the end tells it."""

    image: str
    size_bytes: int
    elapsed_s: float
    archive: Path


def build(arguments: Sequence[str]) -> int:
    """`hack/images/build`: returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="build",
        description="Build services/NAME/Dockerfile as localhost/agent-NAME, and cli/Dockerfile as "
        "localhost/agentberth, each with an archive and its SBOM.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; default: all")
    parser.add_argument("--base", metavar="IMAGE", help="the build argument BASE of the Dockerfiles")
    parser.add_argument("--tag", help="instead of dev-REVISION")
    options = parser.parse_args(arguments)
    return _report(lambda: _build_images(options.names or names(), base=options.base, tag=options.tag))


def base(arguments: Sequence[str]) -> int:
    """`hack/images/base`: returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="base", description="Make base images from Debian packages, for machines that reach no registry."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BASES)}; default: all")
    options = parser.parse_args(arguments)
    return _report(lambda: _build_bases(options.names or list(BASES)))


def sbom(arguments: Sequence[str]) -> int:
    """`hack/images/sbom`: returns the exit code."""
    parser = argparse.ArgumentParser(prog="sbom", description="Print the CycloneDX SBOM of an image.")
    parser.add_argument("name", help=f"of {', '.join(names())}")
    parser.add_argument("image", help="what the document is about, such as agent-operator:0.1.0")
    options = parser.parse_args(arguments)
    return _report(lambda: print(sbom_text(package_of(options.name), options.image), end=""))


def _build_images(names: Sequence[str], *, base: str | None, tag: str | None) -> None:
    dockerfiles = {name: find_dockerfile(name) for name in names}
    engine = find_engine(os.environ)
    version = tag or f"dev-{revision()}"
    with tempfile.TemporaryDirectory(prefix="agentberth-context-") as scratch:
        context = Path(scratch)
        copy_context(context)
        done = []
        for name, dockerfile in dockerfiles.items():
            image = f"localhost/{package_of(name)}:{version}"
            started = time.monotonic()
            arguments = {"BASE": base} if base else {}
            sources = sources_of(dockerfile)
            # As a label, not a build argument: an argument of each commit would make every layer anew. And of the
            # image's own sources: it is another image, which is exported anew, only when one of them has changed.
            labels = {REVISION_LABEL: revision(sources=sources)}
            recipe = Recipe(tag=image, dockerfile=dockerfile, context=context, arguments=arguments, labels=labels)
            build_image(engine, recipe, content_of(context, sources))
            built = _export(engine, image, started)
            write_sbom(package_of(name), image, sbom_path(built.archive))
            done.append(built)
    print(table(done), flush=True)


def build_image(engine: Engine, recipe: Recipe, content: Mapping[str, bytes]) -> None:
    """Builds unless the image is there and was made of the same. Raises BuildFailedError."""
    made_of = [f"{name}={value}" for name, value in (*recipe.arguments.items(), *recipe.labels.items())]
    made_of += [engine.identity(base) for base in recipe.arguments.values() if base.startswith(LOCAL)]
    digest_of_all = digest(content, facts=made_of)
    if engine.label(recipe.tag, RECIPE_LABEL) == digest_of_all:
        print(f"{recipe.tag}: up to date", flush=True)
        return
    engine.build(replace(recipe, labels={**recipe.labels, RECIPE_LABEL: digest_of_all}))


def services() -> list[str]:
    """Every service that has a Dockerfile."""
    return sorted(found.parent.name for found in (ROOT / "services").glob("*/Dockerfile"))


def names() -> list[str]:
    """What an image is built of: the services, and the command."""
    return [*services(), COMMAND]


def package_of(name: str) -> str:
    """The distribution that an image is made of; the image is called after it."""
    return "agentberth" if name == COMMAND else f"agent-{name}"


def find_dockerfile(name: str) -> Path:
    """The Dockerfile of an image. Raises UnknownImageError that names those there are."""
    folder = ROOT if name == COMMAND else ROOT / "services"
    path = folder / name / "Dockerfile"
    if not path.is_file():
        raise UnknownImageError(f"there is no image {name}; there are {', '.join(names())}")
    return path


def _build_bases(names: Sequence[str]) -> None:
    engine = find_engine(os.environ)
    builder = BaseBuilder(engine=engine, cache=_archives(), environ=os.environ)
    for name in names:
        started = time.monotonic()
        made = builder.ensure(name)
        _export(engine, made.tag, started)


def _export(engine: Engine, image: str, started: float) -> Built:
    """Exports what was built since `started` and says so in one line, which tests read the archive's path from."""
    elapsed_s = time.monotonic() - started
    built = Built(image, engine.size_bytes(image), elapsed_s, export(engine, image, _archives()))
    print(f"{image}: {built.size_bytes / 1e6:.0f} MB, {elapsed_s:.1f} s, archive {built.archive}", flush=True)
    return built


def table(images: Iterable[Built]) -> str:
    """The sizes of what was built, below one another."""
    rows = [(one.image, f"{one.size_bytes / 1e6:,.0f} MB", f"{one.elapsed_s:.1f} s") for one in images]
    width = max((len(name) for name, _, _ in rows), default=0)
    lines = [f"{'image':{width}}  {'size':>9}  {'built in':>9}"]
    return "\n".join([*lines, *(f"{name:{width}}  {size:>9}  {took:>9}" for name, size, took in rows)])


def _archives() -> Path:
    return cache_dir(os.environ) / "images"


def _report(work: Callable[[], None]) -> int:
    try:
        work()
    except (ImageError, ClusterError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
