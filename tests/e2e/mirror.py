"""The package indexes of this machine, as Pods reach them: a Pod trusts neither its authorities nor knows its ways out.

What never changes, wheels and tarballs, is kept in ~/.cache/agentberth/packages.
"""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from contract.initenv.package_index import FaultyServer

PYPI: Final = "https://pypi.org/simple/"
FILES: Final = "https://files.pythonhosted.org/"
NPM: Final = "https://registry.npmjs.org/"
_KEPT: Final = (".whl", ".metadata", ".tgz")
_PATIENCE_S: Final = 120


class Mirror(FaultyServer):
    """Passes on what is asked below /simple, /files and /npm, with the addresses in it led back here."""

    def __init__(self, *, address: str) -> None:
        super().__init__(address=address)
        self._places = {"simple": PYPI, "files": FILES, "npm": NPM}
        self._cache = Path.home() / ".cache/agentberth/packages"
        self._cache.mkdir(parents=True, exist_ok=True)

    @property
    def secret(self) -> dict[str, str]:
        """The Secret that leads an init container here."""
        return {"index-url": f"{self.origin}/simple", "npmrc": f"registry={self.origin}/npm/\n"}

    def answer(
        self, path: str, headers: Mapping[str, str], method: str = "GET", body: bytes = b""
    ) -> tuple[int, str, bytes]:
        """What the index answers."""
        del method, body
        place, _, rest = path.lstrip("/").partition("/")
        if place not in self._places:
            return 404, "text/plain", b"not here"
        kept = self._cache / hashlib.sha256(path.encode()).hexdigest()
        if path.endswith(_KEPT) and kept.exists():
            return 200, "application/octet-stream", kept.read_bytes()
        wanted = {name: value for name, value in headers.items() if name.lower() in {"accept", "user-agent"}}
        status, kind, content = _fetch(self._places[place] + rest, wanted)
        if not path.endswith(_KEPT):
            return status, kind, self._led_back(content)
        if status == 200:
            partial = kept.with_suffix(f".{id(content)}")
            partial.write_bytes(content)
            partial.replace(kept)
        return status, kind, content

    def _led_back(self, document: bytes) -> bytes:
        for place, address in self._places.items():
            document = document.replace(address.encode(), f"{self.origin}/{place}/".encode())
        return document


def _fetch(url: str, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers)), timeout=_PATIENCE_S) as answer:  # noqa: S310 - https alone
            return answer.status, answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get_content_type(), error.read()
    except OSError as error:
        return 502, "text/plain", str(error).encode()
