"""Authenticates the callers of a sidecar's API on loopback: the agent of this Pod or run, and nobody else.

A web page in a browser on the same machine is refused by Host and Origin: neither a form nor a name that it makes
point to 127.0.0.1 gets in. Tools of the same Pod, setup commands and other users of a laptop are refused by a token
that only the agent's environment has.
"""

from collections.abc import Collection, Sequence
from hmac import compare_digest
from pathlib import Path
from typing import Final, Literal, Protocol
from urllib.parse import urlsplit

from agent_kit.errors import TokenError

TOKEN_BYTES: Final = 4096
"""Most that is read of a token file."""
SHORTEST_TOKEN: Final = 16
Refusal = Literal["host", "origin", "token"]
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Headers(Protocol):
    """The headers of a request, names in any case."""

    def getall(self, key: str, default: Sequence[str], /) -> Sequence[str]:
        """Every value of a header."""
        ...


class Door:
    """Checks the headers of each request. Without a token everyone who reaches the port passes the last check."""

    def __init__(
        self,
        host: str,
        *,
        allowed_hosts: Collection[str] = (),
        allowed_origins: Collection[str] = (),
        token: str | None = None,
    ) -> None:
        self._hosts = _LOOPBACK | {host.lower()} | {name.lower() for name in allowed_hosts}
        self._origins = frozenset(allowed_origins)
        self._token = None if token is None else token.encode()
        self._known: str | None = None

    def check_source(self, headers: Headers) -> Refusal | None:
        """Whether Host and Origin are ours. An Origin that names the very Host is a page of ours, if the Host is."""
        origins = headers.getall("Origin", ())
        hosts = headers.getall("Host", ())
        if origins and not self._are_ours(origins, hosts):
            return "origin"
        if len(hosts) != 1:
            return "host"
        if hosts[0] == self._known:
            return None
        if _name_of(hosts[0]) not in self._hosts:
            return "host"
        self._known = hosts[0]
        return None

    def _are_ours(self, origins: Sequence[str], hosts: Sequence[str]) -> bool:
        own = {f"http://{host.lower()}" for host in hosts}
        return all(origin in self._origins or origin.lower() in own for origin in origins)

    def check_token(self, *candidates: str | None) -> Refusal | None:
        """Whether one of `candidates` is the token; a leading `Bearer` is left out."""
        if self._token is None:
            return None
        for candidate in candidates:
            if candidate is None:
                continue
            scheme, space, value = candidate.partition(" ")
            shown = value.strip() if space and scheme.lower() == "bearer" else candidate
            if compare_digest(shown.encode("utf-8", "surrogateescape"), self._token):
                return None
        return "token"


def read_token(path: Path) -> str | None:
    """The token in `path`, None when there is no such file. Raises TokenError for one that cannot be used."""
    try:
        with path.open("rb") as file:
            content = file.read(TOKEN_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokenError(f"{path}: the token cannot be read: {error.strerror}") from error
    token = content.decode("ascii", "replace").strip()
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenError(f"{path}: not a token: it must be one word of at least {SHORTEST_TOKEN} ASCII characters")
    return token


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
