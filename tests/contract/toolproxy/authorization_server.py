"""An authorization server that holds clients to the letter, and an MCP server's guard that asks for its tokens.

RFC 6749 (form, client authentication, errors), 8414 and 9728 (metadata), 8707 (resource), 8693 (token exchange). What
a client does wrong is kept in `faults`, so that a lenient answer hides nothing.
"""

import base64
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote_plus

CLIENT, SECRET = "proxy client", "canary:client+secret/ü"
SUBJECT = "canary-subject-token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"


class AuthorizationServer:
    """`issuer` is its address; `tokens` what it has given out, with their ends."""

    def __init__(self, *, host: str = "127.0.0.1", basic: bool = True, lives_s: float = 3600) -> None:
        self.basic, self.lives_s = basic, lives_s
        self.resource = ""
        self.answer: tuple[int, bytes] | None = None
        self.metadata: dict[str, Any] = {}
        self.tokens: dict[str, float] = {}
        self.requests: list[dict[str, str]] = []
        self.faults: list[str] = []
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        self.issuer = f"http://{host}:{self._server.server_port}/realm"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def accepts(self, header: str) -> bool:
        """Whether a request with this Authorization header is let in now."""
        return time.monotonic() < self.tokens.get(header.removeprefix("Bearer "), 0.0)

    def revoke(self) -> None:
        """Every token that was given out."""
        self.tokens.clear()

    def document(self) -> dict[str, Any]:
        methods = ["client_secret_basic"] if self.basic else ["client_secret_post"]
        usual = {
            "issuer": self.issuer,
            "token_endpoint": self.issuer.removesuffix("/realm") + "/token",
            "token_endpoint_auth_methods_supported": methods,
        }
        return {**usual, **self.metadata}

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        self.requests.append(form)
        if not self._knows(form, authorization):
            return 401, {"error": "invalid_client"}
        if form.get("resource") != self.resource:
            return 400, {"error": "invalid_target", "error_description": SECRET}
        if form["grant_type"] == EXCHANGE:
            if (form.get("subject_token"), form.get("subject_token_type")) != (SUBJECT, JWT):
                return 400, {"error": "invalid_request"}
        elif form["grant_type"] != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        token = f"canary-token-{secrets.token_hex(16)}"
        self.tokens[token] = time.monotonic() + self.lives_s
        issued = {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
        extra = issued if form["grant_type"] == EXCHANGE else {}
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.lives_s, **extra}

    def _knows(self, form: dict[str, str], authorization: str) -> bool:
        if self.basic:
            if {"client_id", "client_secret"} & form.keys():
                self.faults.append("two ways of client authentication in one request")
            scheme, _, encoded = authorization.partition(" ")
            name, _, secret = base64.b64decode(encoded).decode().partition(":")
            return (scheme, unquote_plus(name), unquote_plus(secret)) == ("Basic", CLIENT, SECRET)
        if authorization:
            self.faults.append("an Authorization header beside client_secret_post")
        return (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

            def do_GET(self) -> None:
                known = self.path == "/.well-known/oauth-authorization-server/realm"
                self._say(200 if known else 404, json.dumps(outer.document() if known else {}).encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.headers["Content-Type"] != "application/x-www-form-urlencoded":
                    outer.faults.append(f"Content-Type {self.headers['Content-Type']}")
                pairs = parse_qsl(body, keep_blank_values=True, strict_parsing=True)
                if len(dict(pairs)) != len(pairs):
                    outer.faults.append("a parameter twice")
                status, answer = outer.token(dict(pairs), self.headers.get("Authorization", ""))
                given = outer.answer or (status, json.dumps(answer).encode())
                self._say(*given)

            def _say(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Cache-Control", "no-store")
                if status == 302:
                    self.send_header("Location", outer.issuer)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        return Handler
