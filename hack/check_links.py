"""Checks that every relative link of the tree's Markdown files leads to a file, and its anchor to a heading.

    python hack/check_links.py [FOLDER]

Addresses of the web are left alone: they change without us. Exit code 1 and one line for each broken link.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

_SKIPPED = {"node_modules", "build", "dist"}  # and every folder that begins with a dot, but .github
_INLINE = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
_DEFINITION = re.compile(r"^\[[^\]]+\]:\s+<?(\S+?)>?(?:\s|$)")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
_HEADING = re.compile(r"#{1,6}\s+(.+?)\s*#*$")
_FENCE = re.compile(r"\s*(```|~~~)")
_CODE = re.compile(r"`[^`]*`")
_TEXT_OF_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def documents(root: Path) -> Iterator[Path]:
    """The Markdown files of the tree, sorted."""
    for path in sorted(root.rglob("*.md")):
        folders = path.relative_to(root).parts[:-1]
        if not any(f in _SKIPPED or (f.startswith(".") and f != ".github") for f in folders):
            yield path


def prose(file: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a document that are not in a block of code."""
    fence = ""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1] == fence:
            fence = ""
        elif not fence:
            yield number, line


@cache
def anchors(file: Path) -> frozenset[str]:
    """Names of the document's headings, as forges make them; a repeated one is numbered."""
    found: set[str] = set()
    for _, line in prose(file):
        heading = _HEADING.match(line)
        if heading is None:
            continue
        text = _TEXT_OF_LINK.sub(r"\1", heading[1]).lower()
        name = re.sub(r"[^\w -]", "", text).replace(" ", "-")
        repeated = sum(1 for other in found if re.fullmatch(rf"{re.escape(name)}(-\d+)?", other))
        found.add(f"{name}-{repeated}" if repeated else name)
    return frozenset(found)


def links(file: Path) -> Iterator[tuple[int, str]]:
    """Line and target of every link in a document."""
    for number, line in prose(file):
        for pattern in (_INLINE, _DEFINITION):
            for match in pattern.finditer(_CODE.sub("", line)):
                yield number, match[1]


def fault(file: Path, target: str) -> str | None:
    """What is wrong with a link of `file`, or None."""
    if _ADDRESS.match(target):
        return None
    name, _, anchor = unquote(target).partition("#")
    there = (file.parent / name).resolve() if name else file
    if not there.exists():
        return "there is no such file"
    if anchor and there.suffix == ".md" and anchor not in anchors(there):
        return f"there is no such heading in {there.name}"
    return None


def main() -> int:
    """Print the broken links; the exit code."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    broken = 0
    for file in documents(root):
        for number, target in links(file):
            reason = fault(file, target)
            if reason:
                broken += 1
                print(f"{file.relative_to(root)}:{number}: {target}: {reason}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
