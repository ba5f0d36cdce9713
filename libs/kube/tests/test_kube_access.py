"""Row 14: credentials that are read again; and every way to reach a cluster."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.kinds import WIDGETS, widget

from agent_kube import (
    Access,
    Client,
    ConfigurationError,
    ObjectKey,
    TokenFile,
    Unauthorized,
    open_access,
)
from agent_kube.client.access import in_cluster, tls_context
from agent_kube.client.transport import Limits, Transport

KEY = ObjectKey("default", "w")


@pytest.mark.parametrize(
    "environ,proxy",
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "10.0.0.1"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".svc,10.0.0.0/16"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "other"}, "http://proxy:3128"),
    ],
)
def test_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], proxy: str | None) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    transport = Transport(Access("https://10.0.0.1:6443", TokenFile(Path("token"))), user_agent="test", limits=Limits())
    assert transport.proxy == proxy


async def test_rotated_token_is_read_again_after_a_401(api: FakeApi, tmp_path: Path) -> None:
    api.create(WIDGETS, widget("w"))
    (tmp_path / "token").write_text("old\n")
    api.token = "old"
    async with Client(Access(api.url, TokenFile(tmp_path / "token"))) as client:
        await client.get(WIDGETS, KEY)
        api.token = "new"
        with pytest.raises(Unauthorized):
            await client.get(WIDGETS, KEY)
        (tmp_path / "token").write_text("new\n")
        assert (await client.get(WIDGETS, KEY))["metadata"]["name"] == "w"


async def test_token_is_read_again_every_minute_and_outlives_a_missing_file(tmp_path: Path) -> None:
    path, now = tmp_path / "token", 0.0
    token = TokenFile(path, clock=lambda: now)
    with pytest.raises(ConfigurationError, match="cannot read the service account token"):
        await token.header()
    path.write_text("one")
    assert await token.header() == "Bearer one"
    path.write_text("two")
    now = 59.0
    assert await token.header() == "Bearer one"
    now = 61.0
    assert await token.header() == "Bearer two"
    path.unlink()
    now = 200.0
    assert await token.header() == "Bearer two"


def test_in_cluster_access(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    with pytest.raises(ConfigurationError, match="automountServiceAccountToken"):
        in_cluster(environ, account=tmp_path)
    (tmp_path / "token").write_text("x")
    with pytest.raises(ConfigurationError, match=r"ca\.crt"):
        in_cluster(environ, account=tmp_path)
    pem = tls_context().get_ca_certs(binary_form=True)
    assert pem
    import ssl  # noqa: PLC0415

    (tmp_path / "ca.crt").write_text(ssl.DER_cert_to_PEM_cert(pem[0]))
    access = in_cluster(environ, account=tmp_path)
    assert access.server == "https://[fd00::1]:6443"
    assert access.tls is not None
    assert not access.tls.verify_flags & ssl.VERIFY_X509_STRICT
    assert access.tls.verify_mode is ssl.CERT_REQUIRED


def kubeconfig(path: Path, server: str, **user: Any) -> str:
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


async def test_kubeconfig_with_a_token(api: FakeApi, tmp_path: Path) -> None:
    api.token = "secret"
    api.create(WIDGETS, widget("w"))
    access = await open_access({"KUBECONFIG": kubeconfig(tmp_path / "k", api.url, token="secret")})
    async with Client(access) as client:
        assert (await client.get(WIDGETS, KEY))["metadata"]["name"] == "w"


async def test_kubeconfig_in_home(api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", api.url, token="secret")
    access = await open_access({"HOME": str(tmp_path)})
    assert access.server == api.url


async def test_exec_plugin_runs_again_after_a_401(api: FakeApi, tmp_path: Path) -> None:
    """The Configuration that the calls use is the one that is refreshed."""
    api.create(WIDGETS, widget("w"))
    token = tmp_path / "token"
    token.write_text("first")
    script = (
        "import json,pathlib;print(json.dumps({'apiVersion':'client.authentication.k8s.io/v1','kind':'ExecCredential',"
        f"'status':{{'token':pathlib.Path({str(token)!r}).read_text(),'expirationTimestamp':'2099-01-01T00:00:00Z'}}}}))"
    )
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", script],
        "interactiveMode": "Never",
    }
    access = await open_access({"KUBECONFIG": kubeconfig(tmp_path / "k", api.url, exec=plugin)})
    async with Client(access) as client:
        api.token = "first"
        await client.get(WIDGETS, KEY)
        api.token = "second"
        token.write_text("second")
        assert (await client.get(WIDGETS, KEY))["metadata"]["name"] == "w"


@pytest.mark.parametrize(
    "text,message",
    [
        ("", "cannot use the kubeconfig"),
        ("[1, 2]", "cannot use the kubeconfig"),
        ("{", "cannot use the kubeconfig"),
        ("current-context: a\ncontexts: []\nclusters: []\nusers: []\n", "cannot use the kubeconfig"),
    ],
)
async def test_broken_kubeconfig_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "k").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        await open_access({"KUBECONFIG": str(tmp_path / "k")})


async def test_no_cluster_at_all_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="set KUBECONFIG"):
        await open_access({"HOME": str(tmp_path)})
    with pytest.raises(ConfigurationError, match="set KUBECONFIG to an existing file"):
        await open_access({"KUBECONFIG": str(tmp_path / "absent")})


async def test_failing_exec_plugin_is_one_sentence(api: FakeApi, tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(tmp_path / "absent"), "args": []}
    with pytest.raises(ConfigurationError, match="user cannot log in"):
        await open_access({"KUBECONFIG": kubeconfig(tmp_path / "k", api.url, exec=plugin)})
