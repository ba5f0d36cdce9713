"""A server at a url over TLS, with a private authority: both sidecars' clients, and what they refuse."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from contract.memory.served import free_port
from contract.memory.waiting import eventually

from agent_api.gatewayconfig import GatewayMemory
from agent_base.redaction import Redactor
from agent_llmgateway.budget.memory import open_client
from agent_toolproxy.errors import MemoryUnavailable
from agent_toolproxy.memory.redisclient import RedisClient, parse_redis_url

PASSWORD = "tls-Canary_9"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The folder of credentials and the url of a user other than the default."""
    root = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(root / "key.pem"), "-out", str(root / "ca.crt")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    (root / "password").write_text(f"{PASSWORD}\n")
    port = free_port()
    tls = ["--tls-cert-file", str(root / "ca.crt"), "--tls-key-file", str(root / "key.pem"), "--tls-auth-clients", "no"]
    words = ["redis-server", "--port", "0", "--tls-port", str(port), *tls, "--save", "", "--dir", str(root)]
    user = ["--user", "guest", "on", f">{PASSWORD}", "~*", "&*", "+@all"]
    running = subprocess.Popen([*words, *user], stdout=subprocess.DEVNULL)
    client = redis.Redis(
        port=port, ssl=True, ssl_ca_certs=str(root / "ca.crt"), username="guest", password=PASSWORD
    )  # fmt: skip
    try:
        eventually(lambda: pings(client), what=lambda: "redis-server did not start")
        yield root, f"rediss://guest@127.0.0.1:{port}/0"
    finally:
        client.close()
        running.kill()
        running.wait()


def pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


async def test_gateways_client_trusts_the_authority_of_the_secret(server: tuple[Path, str]) -> None:
    folder, url = server
    client = open_client(GatewayMemory(url=url, credentials=str(folder)), "/", Redactor())

    assert await client.dbsize() == 0

    await client.aclose()


async def test_gateways_client_refuses_an_authority_it_does_not_know(server: tuple[Path, str], tmp_path: Path) -> None:
    _, url = server
    (tmp_path / "password").write_text(PASSWORD)
    client = open_client(GatewayMemory(url=url, credentials=str(tmp_path)), "/", Redactor())

    with pytest.raises(redis.ConnectionError):
        await client.dbsize()

    await client.aclose()


async def test_tool_proxys_client_trusts_the_authority_of_the_secret_and_no_other(server: tuple[Path, str]) -> None:
    folder, url = server
    address = parse_redis_url(url)
    knowing = RedisClient(address, lambda: PASSWORD, authority=folder / "ca.crt")
    ignorant = RedisClient(address, lambda: PASSWORD)

    assert await knowing.execute("PING") is True
    with pytest.raises(MemoryUnavailable):
        await ignorant.execute("PING")

    await knowing.close()
    await ignorant.close()
