"""What goes into an image: the repository's files as git sees them, and the revision they are of.

A context of git's own list needs no ignore file that has to be kept in step with .gitignore, and never
carries an environment, a cache or a secret that lies about in the tree.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from .engine import ask
from .errors import BuildFailedError

ROOT = Path(__file__).resolve().parents[4]


def revision(root: Path = ROOT, sources: Sequence[str] = ()) -> str:
    """The short hash of the last commit that changed `sources`, by default of the whole tree's last commit.

    `-dirty` follows when files there differ from it. Raises BuildFailedError.
    """
    inside = ("git", "-C", str(root))
    among = ("--", *sources) if sources else ()
    commit = ask([*inside, "log", "-1", "--format=%H", *among]).strip()[:12] or revision(root)
    changed = ask([*inside, "status", "--porcelain", *among]).strip()
    return f"{commit}-dirty" if changed and not commit.endswith("-dirty") else commit


def sources_of(dockerfile: Path, root: Path = ROOT) -> tuple[str, ...]:
    """What a Dockerfile takes from the tree, itself among it: a commit of anything else leaves the image as it is."""
    copies = (line.split()[1:-1] for line in dockerfile.read_text(encoding="utf-8").splitlines() if is_copy(line))
    return (str(dockerfile.relative_to(root)), *dict.fromkeys(name for names in copies for name in names))


def is_copy(line: str) -> bool:
    """Whether a line of a Dockerfile copies from the tree, not from another stage."""
    return line.startswith("COPY ") and not line.startswith("COPY --from")


def content_of(context: Path, sources: Sequence[str]) -> dict[str, bytes]:
    """What is in the `sources` of a context, by path and whether it can be run."""
    found = (path for name in sources for path in (context / name, *(context / name).rglob("*")))
    return {
        f"{path.relative_to(context)} {path.stat().st_mode & 0o111:o}": path.read_bytes()
        for path in found
        if path.is_file()
    }


def copy_context(target: Path, root: Path = ROOT) -> None:
    """Copies tracked files, and new ones that are not ignored, with their times (so that layers are reused)."""
    listed = ask(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    names = [name for name in listed.split("\0") if name]
    if not names:
        raise BuildFailedError(f"git lists no files in {root}")
    for name in names:
        source = root / name
        if source.is_symlink() or source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
