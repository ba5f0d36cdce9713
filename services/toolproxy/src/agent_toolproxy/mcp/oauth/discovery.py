"""Which token endpoint an MCP server wants tokens of: RFC 9728, then RFC 8414 or OpenID Connect Discovery.

A server that names its authorization server also names who is sent the client's secret. So a server that the agent's
author did not pair with an issuer may only name one at its own host: anything else is refused with what to set.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from yarl import URL

from agent_toolproxy.errors import UpstreamAuth
from agent_toolproxy.mcp.oauth.documents import DocumentClient

_RESOURCE: Final = "/.well-known/oauth-protected-resource"
_SERVER: Final = "/.well-known/oauth-authorization-server"
_OPENID: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, kw_only=True)
class TokenEndpoint:
    """Where tokens come from, and how a client proves who it is there."""

    url: str
    methods: tuple[str, ...] = ()
    """`token_endpoint_auth_methods_supported`; empty means client_secret_basic (RFC 8414 §2)."""

    @property
    def takes_basic(self) -> bool:
        """Whether the secret may be in the Authorization header."""
        return not self.methods or "client_secret_basic" in self.methods


async def find_issuer(documents: DocumentClient, server: str, challenge: Mapping[str, str]) -> str:
    """The issuer that `server` names. Raises UpstreamAuth, UpstreamUnavailable."""
    here = URL(server, encoded=True)
    for url in _resource_urls(here, challenge):
        metadata = await documents.get(url)
        if metadata is None:
            continue
        if not _is_about(metadata.get("resource"), here):
            raise UpstreamAuth(f"{url} is about another resource than {here.origin()}")
        return _own_issuer(metadata, here)
    raise UpstreamAuth(f"{here.host} names no authorization server (RFC 9728): set config.oauth.issuer or tokenUrl")


def _resource_urls(server: URL, challenge: Mapping[str, str]) -> Iterator[str]:
    """Where the server's metadata may be. Another origin than its own has no say about it."""
    named = challenge.get("resource_metadata", "")
    if named:
        try:
            is_own = URL(named, encoded=True).origin() == server.origin()
        except ValueError:
            is_own = False
        if not is_own:
            raise UpstreamAuth(f"{server.host} keeps its OAuth metadata at another origin: set config.oauth.issuer")
        yield named
        return
    path = server.raw_path.rstrip("/")
    if path:
        yield f"{server.origin()}{_RESOURCE}{path}"
    yield f"{server.origin()}{_RESOURCE}"


def _is_about(resource: object, server: URL) -> bool:
    """RFC 9728 §3.3, with the path that MCP allows: the server's own, or one above it."""
    if not isinstance(resource, str):
        return False
    try:
        named = URL(resource, encoded=True)
        path = named.raw_path.rstrip("/")
        return named.origin() == server.origin() and f"{server.raw_path}/".startswith(f"{path}/")
    except ValueError:
        return False


def _own_issuer(metadata: Mapping[str, Any], server: URL) -> str:
    named = metadata.get("authorization_servers")
    issuers = [each for each in named if isinstance(each, str)] if isinstance(named, list) else []
    if not issuers:
        raise UpstreamAuth(f"{server.host} names no authorization server: set config.oauth.issuer or tokenUrl")
    for issuer in issuers:
        try:
            if URL(issuer, encoded=True).host == server.host:
                return issuer
        except ValueError:
            continue
    raise UpstreamAuth(
        f"{server.host} wants tokens of {issuers[0][:200]!r}, which is another host: "
        "if that is right, set config.oauth.issuer to it"
    )


async def find_endpoint(documents: DocumentClient, issuer: str) -> TokenEndpoint:
    """The token endpoint of `issuer`. Raises UpstreamAuth, UpstreamUnavailable."""
    for url in _server_urls(issuer):
        metadata = await documents.get(url)
        if metadata is None:
            continue
        if metadata.get("issuer") != issuer:  # RFC 8414 §3.3: else one server could speak for another
            raise UpstreamAuth(f"{url} is about another issuer than {issuer}")
        endpoint, methods = metadata.get("token_endpoint"), metadata.get("token_endpoint_auth_methods_supported")
        if isinstance(endpoint, str):
            return TokenEndpoint(url=endpoint, methods=tuple(map(str, methods)) if isinstance(methods, list) else ())
    raise UpstreamAuth(f"{issuer} has no metadata with a token endpoint (RFC 8414): set config.oauth.tokenUrl")


def _server_urls(issuer: str) -> tuple[str, ...]:
    """In the order of MCP's specification. Raises UpstreamAuth for an issuer that is none."""
    try:
        url = URL(issuer, encoded=True)
        origin, path = url.origin(), url.raw_path.rstrip("/")
    except ValueError as error:
        raise UpstreamAuth(f"{issuer[:200]!r} is no issuer: it is an https address") from error
    if not path:
        return f"{origin}{_SERVER}", f"{origin}{_OPENID}"
    return f"{origin}{_SERVER}{path}", f"{origin}{_OPENID}{path}", f"{origin}{path}{_OPENID}"
