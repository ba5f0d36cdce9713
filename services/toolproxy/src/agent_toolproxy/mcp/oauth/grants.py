"""Token requests without a person: client credentials (RFC 6749 §4.4) and token exchange (RFC 8693)."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

from agent_api.toolsconfig import ToolOauth
from agent_toolproxy.credentials import Credentials
from agent_toolproxy.errors import UpstreamAuth
from agent_toolproxy.mcp.oauth.discovery import TokenEndpoint
from agent_toolproxy.mcp.oauth.documents import DocumentClient

CLIENT_ID: Final = "client-id"
CLIENT_SECRET: Final = "client-secret"  # noqa: S105 - the key of a Secret
SUBJECT_TOKEN: Final = "subject-token"  # noqa: S105 - likewise
_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_USUAL_S: Final = 300.0
"""Of a token whose answer does not say how long it lives."""
_LONGEST_S: Final = 86_400.0
_LONGEST_TOKEN_CHARS: Final = 16_384
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_ERROR: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,100}")


@dataclass(frozen=True, kw_only=True)
class AccessToken:
    """A bearer token, and for how long it may be used from when it was asked for."""

    value: str
    lives_s: float


async def request_token(
    documents: DocumentClient,
    endpoint: TokenEndpoint,
    options: ToolOauth,
    credentials: Credentials,
    *,
    resource: str,
    scope: str,
) -> AccessToken:
    """A new token. The Secret is read anew each time. Raises UpstreamAuth, UpstreamUnavailable, ToolNotReady."""
    form = _grant(options, credentials)
    form |= {"resource": resource, **({"scope": scope} if scope else {})}
    if options.audience:
        form["audience"] = options.audience
    headers, proof = _prove(endpoint, credentials)
    status, answer = await documents.post_form(endpoint.url, headers, {**form, **proof})
    if status != 200:
        raise UpstreamAuth(f"{endpoint.url} gave no token: {_describe(status, answer)}; check credentialsSecret")
    token = _read(endpoint, answer)
    credentials.register(token.value)
    return token


def _grant(options: ToolOauth, credentials: Credentials) -> dict[str, str]:
    if options.grant == "clientCredentials":
        return {"grant_type": "client_credentials"}
    return {
        "grant_type": _EXCHANGE,
        "subject_token": credentials.read(SUBJECT_TOKEN),
        "subject_token_type": options.subject_token_type,
    }


def _prove(endpoint: TokenEndpoint, credentials: Credentials) -> tuple[dict[str, str], dict[str, str]]:
    """Headers and form fields by which the client is known (RFC 6749 §2.3.1)."""
    name = credentials.read(CLIENT_ID)
    if not credentials.has(CLIENT_SECRET):
        return {}, {"client_id": name}
    secret = credentials.read(CLIENT_SECRET)
    if not endpoint.takes_basic:
        return {}, {"client_id": name, "client_secret": secret}
    pair = f"{quote_plus(name)}:{quote_plus(secret)}"
    encoded = base64.b64encode(pair.encode()).decode()
    credentials.register(encoded)
    return {"Authorization": f"Basic {encoded}"}, {}


def _read(endpoint: TokenEndpoint, answer: Mapping[str, Any]) -> AccessToken:
    token, kind, lives = answer.get("access_token"), answer.get("token_type"), answer.get("expires_in")
    if not isinstance(token, str) or len(token) > _LONGEST_TOKEN_CHARS or not _TOKEN.fullmatch(token):
        raise UpstreamAuth(f"{endpoint.url} gave no token that can be sent")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise UpstreamAuth(f"{endpoint.url} gave a token that is not of the type Bearer")
    lives_s = float(lives) if isinstance(lives, int | float) and not isinstance(lives, bool) else _USUAL_S
    return AccessToken(value=token, lives_s=min(max(lives_s, 0.0), _LONGEST_S))


def _describe(status: int, answer: Mapping[str, Any]) -> str:
    """The error's code alone: descriptions are prose of others, and may repeat what was sent."""
    code = answer.get("error")
    return f"{status} {code}" if isinstance(code, str) and _ERROR.fullmatch(code) else str(status)
