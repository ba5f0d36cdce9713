"""Providers behind a company's proxy that ends TLS: the only way out, and the only authority, are the platform's."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.company_network import CompanyProxy
from contract.llmgateway.harness import Mock, ask, request_body, run_gateway

HOST = "models.company.invalid"


def config(url: str) -> dict[str, Any]:
    return {"providers": [{"name": "main", "type": "openai-compatible", "baseUrl": url, "model": "gpt-x"}]}


@pytest.mark.parametrize("url", [f"https://{HOST}/v1", f"http://{HOST}/v1"])
@pytest.mark.parametrize("prompt", ["hello", "long " * 40_000, "longer " * 400_000], ids=["small", "large", "huge"])
async def test_every_way_out_goes_through_the_proxy(
    mock: Mock, client: httpx.AsyncClient, tmp_path: Path, url: str, prompt: str
) -> None:
    with (
        CompanyProxy(tmp_path / "company", {HOST: mock.port}) as company,
        run_gateway(tmp_path / "gateway", config(url), environ=company.environment()) as gateway,
    ):
        client.base_url = httpx.URL(gateway.url)
        for stream in (False, True, False):
            seen = await ask(client, "chat", request_body("chat", "gpt-x", prompt=prompt, stream=stream))
            assert (seen.status, seen.complete) == (200, True), (seen.body, gateway.log)

    assert company.seen
    assert all(HOST in line for line in company.seen)


async def test_an_exception_is_reached_directly(mock: Mock, client: httpx.AsyncClient, tmp_path: Path) -> None:
    with CompanyProxy(tmp_path / "company", {HOST: mock.port}) as company:
        environ = company.environment() | dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.0/8,.svc")
        with run_gateway(tmp_path / "gateway", config(mock.url), environ=environ) as gateway:
            client.base_url = httpx.URL(gateway.url)
            assert (await ask(client, "chat", request_body("chat", "gpt-x"))).complete

    assert company.seen == []


@pytest.mark.parametrize(
    "missing,words",
    [
        ("SSL_CERT_FILE", "TLS certificate is not accepted"),
        ("HTTPS_PROXY", "cannot be resolved"),
    ],
)
async def test_what_is_missing_is_said(
    mock: Mock, client: httpx.AsyncClient, tmp_path: Path, missing: str, words: str
) -> None:
    with CompanyProxy(tmp_path / "company", {HOST: mock.port}) as company:
        environ = company.environment() | dict.fromkeys((missing, missing.lower()), "")
        with run_gateway(tmp_path / "gateway", config(f"https://{HOST}/v1"), environ=environ) as gateway:
            client.base_url = httpx.URL(gateway.url)
            seen = await ask(client, "chat", request_body("chat", "gpt-x"))

    assert seen.status >= 500
    assert words in str(seen.errors)


async def test_a_proxy_that_refuses_a_name_is_told_apart(mock: Mock, client: httpx.AsyncClient, tmp_path: Path) -> None:
    with CompanyProxy(tmp_path / "company", {HOST: mock.port}) as company:
        other = config("https://elsewhere.invalid/v1")
        with run_gateway(tmp_path / "gateway", other, environ=company.environment()) as gateway:
            client.base_url = httpx.URL(gateway.url)
            seen = await ask(client, "chat", request_body("chat", "gpt-x"))

    assert "the proxy of the network (HTTPS_PROXY) refused the connection: 403" in str(seen.errors)
