"""MCP servers that want OAuth, against an authorization server that is strict, and against ones that are hostile."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from contract.toolproxy.authorization_server import CLIENT, EXCHANGE, JWT, SECRET, SUBJECT, AuthorizationServer
from contract.toolproxy.toolproxy_harness import ToolProxy
from contract.toolproxy.upstream_server import UpstreamServer

METADATA = "/.well-known/oauth-protected-resource/mcp"


@pytest.fixture
def issuer() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


def guard(upstream: UpstreamServer, issuer: AuthorizationServer, **metadata: Any) -> None:
    """Let `upstream` ask for tokens of `issuer`, and say so as RFC 9728 has it."""
    origin = upstream.url.removesuffix("/mcp")
    upstream.behaviour.lets_in = issuer.accepts
    upstream.behaviour.challenge = f'Bearer realm="x, y", resource_metadata="{origin}{METADATA}", scope="files:read"'
    issuer.resource = upstream.url
    usual = {"resource": upstream.url, "authorization_servers": [issuer.issuer]}
    upstream.behaviour.documents[METADATA] = {**usual, **metadata}


def planned(name: str, url: str, **oauth: Any) -> dict[str, Any]:
    custom = {"name": name, "source": f"mcp+{url}", "oauth": oauth}
    return {"name": name, "custom": custom, "credentials": "client"}


def write_client(proxy: ToolProxy, secret: str = SECRET) -> None:
    proxy.write_credential("client", "client-id", CLIENT)
    proxy.write_credential("client", "client-secret", secret)
    proxy.write_credential("client", "subject-token", SUBJECT)


@pytest.mark.parametrize("basic", [True, False], ids=["basic", "post"])
def test_the_server_says_whose_tokens_it_wants(proxy: ToolProxy, basic: bool) -> None:
    with AuthorizationServer(basic=basic) as issuer, UpstreamServer() as upstream:
        guard(upstream, issuer)
        write_client(proxy)
        proxy.write_config(tools=[planned("up", upstream.url)])
        proxy.start()

        result = proxy.call("up__echo", {"text": next(iter(issuer.tokens))})

        assert "canary" not in json.dumps(result)
        assert issuer.faults == []
        assert [each["scope"] for each in issuer.requests] == ["files:read"]
        assert "canary" not in proxy.log.read_text() + json.dumps(proxy.report()) + proxy.metrics()


def test_a_token_is_exchanged_for_the_servers(proxy: ToolProxy, issuer: AuthorizationServer) -> None:
    with UpstreamServer() as upstream:
        guard(upstream, issuer)
        write_client(proxy)
        options = {"grant": "tokenExchange", "subjectTokenType": JWT, "scopes": ["a", "b"], "audience": "files"}
        proxy.write_config(tools=[planned("up", upstream.url, issuer=issuer.issuer, **options)])
        proxy.start()

    (request,) = issuer.requests
    assert (request["grant_type"], request["scope"], request["audience"]) == (EXCHANGE, "a b", "files")
    assert issuer.faults == []


def test_a_token_that_is_revoked_or_ends_is_replaced_under_the_call(
    proxy: ToolProxy, issuer: AuthorizationServer
) -> None:
    with UpstreamServer() as upstream:
        guard(upstream, issuer)
        write_client(proxy)
        proxy.write_config(tools=[planned("up", upstream.url, tokenUrl=issuer.document()["token_endpoint"])])
        proxy.start()
        for number in range(3):
            issuer.revoke()
            assert not proxy.call("up__echo", {"text": str(number)}).get("isError")

        assert [each["arguments"]["text"] for each in upstream.behaviour.calls] == ["0", "1", "2"]


def test_a_client_secret_that_is_rotated_or_wrong_is_the_servers_failure_alone(
    proxy: ToolProxy, issuer: AuthorizationServer
) -> None:
    with UpstreamServer() as upstream, UpstreamServer() as other:
        guard(upstream, issuer)
        write_client(proxy, "canary-wrong")
        proxy.write_config(tools=[planned("up", upstream.url), {"name": "other", "custom": _plain("other", other.url)}])
        proxy.launch()
        error = proxy.wait_for_state("up", "failed")["error"]
        assert "401 invalid_client" in error
        proxy.wait_for_state("other", "ready")
        assert "canary" not in proxy.log.read_text() + json.dumps(proxy.report())

        write_client(proxy)
        proxy.wait_for_state("up", "ready")


def _plain(name: str, url: str) -> dict[str, Any]:
    return {"name": name, "source": f"mcp+{url}"}


HOSTILE_ANSWERS: dict[str, tuple[tuple[int, bytes], str]] = {
    "page": ((200, b"<html>log in</html>"), "no token that can be sent"),
    "list": ((200, b"[1]"), "no token that can be sent"),
    "deep": ((200, b"[" * 5000), "no token that can be sent"),
    "huge": ((200, b'"' + b"x" * 400_000 + b'"'), "no token that can be sent"),
    "header": ((200, b'{"access_token": "a\\r\\nX: 1", "token_type": "Bearer"}'), "no token that can be sent"),
    "number": ((200, b'{"access_token": 7, "token_type": "Bearer"}'), "no token that can be sent"),
    "mac": ((200, b'{"access_token": "a", "token_type": "mac"}'), "not of the type Bearer"),
    "redirect": ((302, b"{}"), "gave no token: 302"),
    "prose": ((400, b'{"error": "a\\u001b[2J", "error_description": "canary"}'), "gave no token: 400;"),
    "object": ((400, b'{"error": {"a": 1}}'), "gave no token: 400;"),
}
HOSTILE_METADATA: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "other_issuer": ({}, {"issuer": "https://bank.example"}, "is about another issuer"),
    "other_resource": ({"resource": "https://bank.example/mcp"}, {}, "about another resource"),
    "resource_above": ({"resource": "PATH/admin"}, {}, "about another resource"),
    "another_host": ({"authorization_servers": ["https://evil.example"]}, {}, "set config.oauth.issuer to it"),
    "no_servers": ({"authorization_servers": "x"}, {}, "names no authorization server"),
    "metadata_service": ({}, {"token_endpoint": "http://169.254.169.254/token"}, "cannot be asked"),
    "file": ({}, {"token_endpoint": "file:///etc/passwd"}, "cannot be asked"),
}


def test_hostile_authorization_is_the_failure_of_its_server_with_a_reason(proxy: ToolProxy) -> None:
    tools, reasons = [], {}
    with ExitStack() as stack:
        for name, (answer, reason) in HOSTILE_ANSWERS.items():
            issuer, upstream = stack.enter_context(AuthorizationServer()), stack.enter_context(UpstreamServer())
            guard(upstream, issuer)
            issuer.answer = answer
            tools.append(planned(name, upstream.url))
            reasons[name] = reason
        for name, (resource, server, reason) in HOSTILE_METADATA.items():
            issuer, upstream = stack.enter_context(AuthorizationServer()), stack.enter_context(UpstreamServer())
            guard(upstream, issuer, **resource)
            issuer.metadata = server
            tools.append(planned(name, upstream.url))
            reasons[name] = reason
        elsewhere = stack.enter_context(UpstreamServer())
        guard(elsewhere, stack.enter_context(AuthorizationServer()))
        elsewhere.behaviour.challenge = 'Bearer resource_metadata="https://evil.example/x"'
        tools.append(planned("elsewhere", elsewhere.url))
        reasons["elsewhere"] = "at another origin: set config.oauth.issuer"
        write_client(proxy)
        proxy.write_config(tools=tools)
        proxy.launch()

        errors = {name: proxy.wait_for_state(name, "failed")["error"] for name in reasons}

    assert {name: reason in errors[name] for name, reason in reasons.items()} == dict.fromkeys(reasons, True), errors
    assert "canary" not in proxy.log.read_text() + json.dumps(proxy.report())


def test_another_host_is_asked_when_the_author_names_it(proxy: ToolProxy) -> None:
    with AuthorizationServer(host="localhost") as issuer, UpstreamServer() as upstream:
        guard(upstream, issuer)
        write_client(proxy)
        proxy.write_config(tools=[planned("up", upstream.url)])
        proxy.launch()
        assert "which is another host" in proxy.wait_for_state("up", "failed")["error"]
        assert issuer.requests == []

        proxy.write_config(tools=[planned("up", upstream.url, issuer=issuer.issuer)])
        proxy.wait_for_state("up", "ready")
