"""Names of headings in links, as forges make them, so that one link is right on the site and in the tree."""

import re


def forge(text: str, separator: str) -> str:
    """`text` as an anchor."""
    return re.sub(r"[^\w -]", "", text.lower()).replace(" ", separator)
