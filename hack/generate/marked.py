"""Pages of which a part is generated: it goes between markers, what a person says around them stays as it is.

A marker is a pair of comments, `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

Blocks = Mapping[str, Callable[[], str]]


def fill(page: Path, text: str, blocks: Blocks) -> str:
    """`text` with every generated part anew.

    Raises SystemExit, with the name of `page`, when one of the markers is not there.
    """
    for name, write in blocks.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise SystemExit(f"{page}: the markers of {name} are not there")
        text = f"{before}{begin}\n{write()}\n\n{end}{after}"
    return text
