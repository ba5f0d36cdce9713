"""What a kind of tool source is: a class that reads its form and makes its installer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import urlsplit

from agent_toolproxy.errors import SourceInvalid
from agent_toolproxy.installers.download import Downloader
from agent_toolproxy.installers.packager import Index
from agent_toolproxy.installers.request import Installer
from agent_toolproxy.store.store import Store


@dataclass(frozen=True, kw_only=True)
class InstallParts:
    """What installers are made of. `find_program` gives the path of a program of the image, or raises NotFound."""

    platform: str
    store: Store
    downloader: Downloader
    hidden: Path
    index: Index
    path: str
    find_program: Callable[[str], str]


class Package(Protocol):
    """A program by where it comes from. A frozen dataclass: another value is installed anew."""

    @property
    def version(self) -> str:
        """As the source names it; may be empty."""

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The package that `text` names; None when it is not of the form. Raises SourceInvalid."""

    def installer(self, parts: InstallParts) -> Installer:
        """Raises NotFound when this image cannot install it."""


def checked_url(url: str, whole: str) -> str:
    """`url`, if one can connect to it; `whole` is what the message shows. Raises SourceInvalid."""
    try:
        parts = urlsplit(url)
        good = parts.hostname and parts.port != 0 and not parts.username and not parts.password
    except ValueError:
        good = None
    if not good or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        raise SourceInvalid(
            f"source {whole.partition('?')[0][:200]!r} is not a URL with a host and without a password: "
            "credentials belong in credentialsSecret"
        )
    return url
