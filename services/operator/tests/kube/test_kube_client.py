"""Rows 2, 4, 5 and 14 for calls: deadlines, media types, translated errors, credentials that are read again."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given
from services.operator.tests.kube import faults
from services.operator.tests.kube.fake_api import FakeApi
from services.operator.tests.kube.kinds import CONFIG_MAPS, DEPLOYMENTS, WIDGETS, config_map, widget

from agent_operator.kube import (
    Access,
    Client,
    ConfigurationError,
    Conflict,
    DeadlineExceeded,
    Expired,
    Forbidden,
    Invalid,
    KubeError,
    Limits,
    NotFound,
    ObjectKey,
    Resource,
    Retryable,
    ServerFault,
    Terminal,
    TokenFile,
    TooManyRequests,
    Unauthorized,
    Unreachable,
    open_access,
)
from agent_operator.kube.access import in_cluster, tls_context
from agent_operator.kube.errors import LineTooLong, first_error
from agent_operator.kube.lines import split_lines
from agent_operator.kube.transport import proxy_from_environment

KEY = ObjectKey("default", "w")


@pytest.mark.parametrize(
    "code,error",
    [
        (400, Invalid),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Expired),
        (413, Invalid),
        (415, Invalid),
        (422, Invalid),
        (429, TooManyRequests),
        (500, ServerFault),
        (503, ServerFault),
        (504, ServerFault),
        (302, ServerFault),
    ],
)
async def test_statuses_become_errors_that_say_what_to_do(api: FakeApi, code: int, error: type[KubeError]) -> None:
    api.fault(faults.refuse(code, "Reason", "because of this"))
    async with api.client() as client:
        with pytest.raises(KubeError) as caught:
            await client.get(WIDGETS, KEY)
    assert type(caught.value) is error
    assert str(caught.value) == f"get widgets.example.com default/w: because of this ({code})"


async def test_forbidden_names_verb_and_resource_and_is_retried_slowly(api: FakeApi) -> None:
    api.fault(faults.refuse(403, "Forbidden", "exceeded quota"))
    manifest = {"metadata": {"name": "x", "namespace": "team"}}
    async with api.client() as client:
        with pytest.raises(Forbidden, match=r"patch deployments\.apps team/x: exceeded quota") as caught:
            await client.apply(DEPLOYMENTS, manifest, field_manager="m")
    assert caught.value.retry_after_s == 30


async def test_retry_after_reaches_the_caller(api: FakeApi) -> None:
    api.fault(faults.refuse(429, "TooManyRequests", retry_after_s=7))
    async with api.client() as client:
        with pytest.raises(TooManyRequests) as caught:
            await client.get(WIDGETS, KEY)
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize("page", [faults.html_502, faults.html_200])
async def test_html_is_a_server_fault_with_an_excerpt(api: FakeApi, page: Any) -> None:
    api.fault(page)
    async with api.client() as client:
        with pytest.raises(ServerFault, match="html") as caught:
            await client.get(WIDGETS, KEY)
    assert "\n" not in str(caught.value)


async def test_call_without_an_answer_ends_at_its_deadline(api: FakeApi) -> None:
    api.fault(faults.hang)
    async with api.client(call_s=0.2) as client:
        with pytest.raises(DeadlineExceeded, match=r"get widgets\.example\.com default/w: no answer in time"):
            await client.get(WIDGETS, KEY)
        with pytest.raises(DeadlineExceeded):
            await client.get(WIDGETS, KEY, timeout_s=0.1)


async def test_reset_and_refused_connections_are_unreachable(api: FakeApi) -> None:
    api.fault(faults.reset, verb="patch")
    async with api.client() as client:
        with pytest.raises(Unreachable, match=r"patch widgets\.example\.com default/w"):
            await client.patch(WIDGETS, KEY, {})
        await api.stop()
        with pytest.raises(Unreachable):
            await client.get(WIDGETS, KEY)
        await api.__aenter__()


async def test_unresolvable_server_is_unreachable() -> None:
    class Nobody:
        async def header(self) -> None:
            return None

        async def renew(self) -> None:
            raise AssertionError

    async with Client(Access("http://does-not-exist.invalid", Nobody()), limits=Limits(call_s=5)) as client:
        with pytest.raises(Unreachable):
            await client.get(WIDGETS, KEY)


async def test_patches_name_their_media_type(api: FakeApi) -> None:
    api.create(WIDGETS, widget("w"))
    async with api.client() as client:
        await client.apply(WIDGETS, widget("w", size=1), field_manager="m")
        await client.patch(WIDGETS, KEY, {"spec": {"size": 2}})
        await client.patch_status(WIDGETS, KEY, {"ready": True})
    applied, patched, status = api.called("patch")
    assert applied.content_type == "application/apply-patch+yaml"
    assert applied.query == {"fieldManager": "m", "force": "true"}
    assert patched.content_type == status.content_type == "application/merge-patch+json"
    assert (status.subresource, status.body) == ("status", {"status": {"ready": True}})
    stored = api.read(WIDGETS, "w")
    assert (stored["spec"], stored["status"]) == ({"size": 2}, {"ready": True})


async def test_create_replace_and_delete(api: FakeApi) -> None:
    async with api.client() as client:
        created = await client.create(CONFIG_MAPS, config_map("c", a="1"))
        with pytest.raises(Conflict):
            await client.create(CONFIG_MAPS, config_map("c"))
        replaced = await client.replace(CONFIG_MAPS, {**created, "data": {"a": "2"}})
        assert replaced["data"] == {"a": "2"}
        with pytest.raises(Conflict):
            await client.replace(CONFIG_MAPS, {**created, "data": {"a": "3"}})
        key = ObjectKey("default", "c")
        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAPS, key, uid="another")
        assert await client.delete(CONFIG_MAPS, key, uid=created["metadata"]["uid"])
        assert not await client.delete(CONFIG_MAPS, key)
    assert api.called("delete")[0].body["propagationPolicy"] == "Background"


async def test_answers_are_not_compressed_and_writes_answer_metadata_only(api: FakeApi) -> None:
    headers: list[Any] = []

    async def look(request: Any, _called: Any) -> Any:
        headers.append(request.headers)
        return await faults.refuse(500)(request, _called)

    api.fault(look)
    async with api.client() as client:
        with pytest.raises(ServerFault):
            await client.patch(WIDGETS, KEY, {})
    assert headers[0]["Accept-Encoding"] == "identity"
    assert headers[0]["Accept"].startswith("application/json;as=PartialObjectMetadata")


@pytest.mark.parametrize(
    "environ,proxy",
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "10.0.0.1"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "other"}, "http://proxy:3128"),
    ],
)
def test_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], proxy: str | None) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxy_from_environment("https://10.0.0.1:6443") == proxy


# credentials


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


# small parts


@given(lines=st.lists(st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b"")), max_size=20), data=st.data())
def test_lines_survive_any_cutting_into_chunks(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines) + b"unfinished"
    chunks = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        chunks.append(stream[:size])
        stream = stream[size:]

    async def source() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def read() -> list[bytes]:
        return [line async for line in split_lines(source(), 1000)]

    assert asyncio.run(read()) == lines


async def test_line_over_the_limit_is_told_before_its_end() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"ok\n"
        yield b"x" * 60
        yield b"x" * 60
        raise AssertionError("read on after the limit")

    lines = split_lines(source(), 100)
    assert await anext(lines) == b"ok"
    with pytest.raises(LineTooLong):
        await anext(lines)


def test_paths() -> None:
    nodes = Resource("", "v1", "nodes", "Node", namespaced=False)
    assert WIDGETS.path("team", "w", "status") == "/apis/example.com/v1/namespaces/team/widgets/w/status"
    assert WIDGETS.path() == "/apis/example.com/v1/widgets"
    assert nodes.path("ignored", "a:b") == "/api/v1/nodes/a%3Ab"
    assert (str(WIDGETS), str(nodes)) == ("widgets.example.com", "nodes")


def test_first_error_of_nested_groups() -> None:
    inner = Retryable("inner")
    group = BaseExceptionGroup("outer", [BaseExceptionGroup("middle", [inner]), Terminal("second")])
    assert first_error(group) is inner
