"""The two commands: `build` for the project's images, `base` for the images they may start from."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from testcluster.cache import cache_dir
from testcluster.errors import ClusterError

from .archives import export
from .bases import BASES, BaseBuilder
from .context import ROOT, copy_context, revision, sources_of
from .engine import Engine, Recipe, find_engine
from .errors import ImageError, UnknownImageError

REVISION_LABEL = "org.opencontainers.image.revision"


def build(arguments: Sequence[str]) -> int:
    """`hack/images/build`: returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="build", description="Build services/NAME/Dockerfile as localhost/agent-NAME and export an archive."
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="initenv, operator ...")
    parser.add_argument("--base", metavar="IMAGE", help="the build argument BASE of the Dockerfiles")
    parser.add_argument("--tag", help="instead of dev-REVISION")
    options = parser.parse_args(arguments)
    return _report(lambda: _build_services(options.names, base=options.base, tag=options.tag))


def base(arguments: Sequence[str]) -> int:
    """`hack/images/base`: returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="base", description="Make base images from Debian packages, for machines that reach no registry."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BASES)}; default: all")
    options = parser.parse_args(arguments)
    return _report(lambda: _build_bases(options.names or list(BASES)))


def _build_services(names: Sequence[str], *, base: str | None, tag: str | None) -> None:
    dockerfiles = {name: find_dockerfile(name) for name in names}
    engine = find_engine(os.environ)
    version = tag or f"dev-{revision()}"
    with tempfile.TemporaryDirectory(prefix="agentberth-context-") as scratch:
        context = Path(scratch)
        copy_context(context)
        for name, dockerfile in dockerfiles.items():
            image = f"localhost/agent-{name}:{version}"
            started = time.monotonic()
            arguments = {"BASE": base} if base else {}
            # As a label, not a build argument: an argument of each commit would make every layer anew. And of the
            # image's own sources: it is another image, which is exported anew, only when one of them has changed.
            labels = {REVISION_LABEL: revision(sources=sources_of(dockerfile))}
            engine.build(Recipe(tag=image, dockerfile=dockerfile, context=context, arguments=arguments, labels=labels))
            _summarise(engine, image, time.monotonic() - started)


def find_dockerfile(name: str) -> Path:
    """The Dockerfile of a service. Raises UnknownImageError that names those there are."""
    path = ROOT / "services" / name / "Dockerfile"
    if not path.is_file():
        known = sorted(found.parent.name for found in (ROOT / "services").glob("*/Dockerfile"))
        raise UnknownImageError(f"no services/{name}/Dockerfile; there are {', '.join(known) or 'none'}")
    return path


def _build_bases(names: Sequence[str]) -> None:
    engine = find_engine(os.environ)
    builder = BaseBuilder(engine=engine, cache=_archives(), environ=os.environ)
    for name in names:
        started = time.monotonic()
        made = builder.ensure(name)
        _summarise(engine, made.tag, time.monotonic() - started)


def _summarise(engine: Engine, image: str, elapsed_s: float) -> None:
    archive = export(engine, image, _archives())
    size_mb = engine.size_bytes(image) / 1e6
    print(f"{image}: {size_mb:.0f} MB, {elapsed_s:.1f} s, archive {archive}", flush=True)


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
