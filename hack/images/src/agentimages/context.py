"""What goes into an image: the repository's files as git sees them, and the revision they are of.

A context of git's own list needs no ignore file that has to be kept in step with .gitignore, and never
carries an environment, a cache or a secret that lies about in the tree.
"""

import shutil
from pathlib import Path

from .engine import ask
from .errors import BuildFailedError

ROOT = Path(__file__).resolve().parents[4]


def revision(root: Path = ROOT) -> str:
    """The commit's short hash; `-dirty` follows when files differ from it."""
    commit = ask(["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"]).strip()
    changed = ask(["git", "-C", str(root), "status", "--porcelain"]).strip()
    return f"{commit}-dirty" if changed else commit


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
