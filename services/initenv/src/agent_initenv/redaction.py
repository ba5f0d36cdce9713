"""Keeps secrets out of every line that leaves the program: report, progress and output of children."""

import re
from urllib.parse import quote

_MASK = "***"
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s'\"]+@")


class Secrets:
    """The secrets of this run. Whoever reads one adds it here before anything is said about it."""

    def __init__(self) -> None:
        self._known: list[str] = []

    def add(self, *texts: str) -> None:
        """Mask these from now on, also percent-encoded. Longest first, so that no tail of one stays."""
        known = {*self._known, *(form for text in texts if text for form in (text, quote(text, safe="")))}
        self._known = sorted(known, key=len, reverse=True)

    def mask(self, text: str) -> str:
        """`text` without any known secret and without credentials in urls."""
        for secret in self._known:
            text = text.replace(secret, _MASK)
        return _URL_CREDENTIALS.sub(f"{_MASK}@", text)
