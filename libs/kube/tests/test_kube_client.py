"""Rows 2, 4, 5 and 14 for calls: deadlines, media types, translated errors, credentials that are read again."""

from typing import Any

import pytest
from libs.kube.tests import faults
from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.kinds import CONFIG_MAPS, DEPLOYMENTS, WIDGETS, config_map, widget

from agent_kube import (
    Access,
    Client,
    Conflict,
    DeadlineExceeded,
    Expired,
    Forbidden,
    Invalid,
    KubeError,
    Limits,
    NotFound,
    ObjectKey,
    ServerFault,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)

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
