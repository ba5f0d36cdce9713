import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from libs.kube.tests.fake_api import FakeApi

from agent_api.agenttype import AgentType
from agent_api.toolsconfig import ToolDefinition
from agent_api.toolslock import LARGEST_BYTES, LockedTool, PinnedDefinition, ToolsLock
from agent_api.toolsreport import ToolsReport
from agent_kube import Client, Conflict, ObjectKey, Occupied, Request, Stores
from agent_operator.objects import AgentObject, ConfigObject
from agent_operator.sources import ALL, CONFIG_MAPS, CONFIGURED
from agent_operator.status.reports import REPORT_BYTES
from agent_operator.status.toolpins import PinKeeper, held_to, merge, planned_tools
from agent_render import PlatformSettings, render

OLD, NEW = "a" * 64, "b" * 64
OBJ = msgspec.json.decode(
    b'{"metadata": {"name": "subject", "namespace": "here", "uid": "uid-now"}, "spec": {}}', type=AgentObject
)
LOCK = "subject-tools-lock"


RENDERED: tuple[Any, ...] = ()


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi([CONFIG_MAPS]) as server:
        yield server


@pytest.fixture
async def client(api: FakeApi) -> AsyncIterator[Client]:
    async with api.client() as opened:
        yield opened


def keeper(client: Client, stores: Stores | None = None) -> PinKeeper:
    return PinKeeper(client, stores or Stores(ALL), field_manager="us")


def lock_object(*, owner: str = "", labelled: bool = True) -> dict[str, Any]:
    """A lock that pins docs__a, as the server has it."""
    reference = {"apiVersion": "agents.example.com/v1", "kind": "AgentType", "name": "subject", "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": LOCK,
            "namespace": "here",
            "labels": {"agents.example.com/agent": "subject"} if labelled else {},
            "ownerReferences": [{**reference, "uid": owner}] if owner else [],
        },
        "data": {"tools.lock.json": definitions(docs__a=OLD).serialise()},
    }


def agent(**policy: Any) -> AgentType:
    docs = {"name": "docs", "source": "mcp+https://e.com/mcp"}
    tool = {"name": "hello", "version": "2", "source": "https://e.com/hello"}
    return AgentType.model_validate(
        {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": "subject", "namespace": "here"},
            "spec": {
                "agent": {"type": "container", "image": "x:1"},
                "tools": {"custom": [docs, tool], "policy": policy},
            },
        }
    )


def with_tool(tool: dict[str, Any]) -> AgentType:
    spec = {"agent": {"image": "x:1"}, "tools": {"custom": [{"name": "hello", **tool}]}}
    return AgentType.model_validate(agent().model_dump() | {"spec": spec})


def merged_of(
    known: ToolsLock, seen: ToolsLock, subject: AgentType, settings: PlatformSettings | None = None
) -> ToolsLock:
    return merge(known, seen, subject, planned_tools(render(subject, settings or PlatformSettings()), subject))


def definitions(**hashes: str) -> ToolsLock:
    return ToolsLock(
        definitions={name: PinnedDefinition(hash=each, call_hash="c" * 64) for name, each in hashes.items()}
    )


def hashes(lock: ToolsLock) -> dict[str, str]:
    return {name: each.hash for name, each in lock.definitions.items()}


def test_the_first_report_of_a_server_is_taken() -> None:
    assert hashes(merged_of(ToolsLock(), definitions(docs__a=OLD, docs__b=OLD), agent())) == {
        "docs__a": OLD,
        "docs__b": OLD,
    }


@pytest.mark.parametrize(
    "policy,after",
    [
        ({}, OLD),
        ({"approved": {"docs__a": NEW}}, NEW),
        ({"approved": {"docs__a": "d" * 64}}, OLD),
        ({"approved": {"docs__b": NEW}}, OLD),
        ({"pinning": "EnforceSchema"}, NEW),
        ({"pinning": "Warn"}, NEW),
    ],
)
def test_a_report_changes_a_pin_only_where_the_spec_lets_it(policy: dict[str, Any], after: str) -> None:
    merged = merged_of(definitions(docs__a=OLD), definitions(docs__a=NEW), agent(**policy))

    assert hashes(merged) == {"docs__a": after}


def test_a_report_adds_no_tool_to_a_server_that_is_pinned() -> None:
    known, seen = definitions(docs__a=OLD), definitions(docs__a=OLD, docs__b=NEW)

    assert hashes(merged_of(known, seen, agent())) == {"docs__a": OLD}
    assert hashes(merged_of(known, seen, agent(approved={"docs__b": NEW}))) == {"docs__a": OLD, "docs__b": NEW}


def test_a_report_that_forgets_a_pin_does_not_take_it_away() -> None:
    assert hashes(merged_of(definitions(docs__a=OLD), ToolsLock(), agent())) == {"docs__a": OLD}


def test_pins_of_tools_that_are_not_asked_for_any_more_go() -> None:
    assert hashes(merged_of(definitions(other__a=OLD), definitions(other__b=OLD), agent())) == {}


@pytest.mark.parametrize(
    "version,sha256,policy,after",
    [
        ("2", OLD, {}, OLD),
        ("2", NEW, {}, OLD),
        ("2", NEW, {"approved": {"hello": NEW}}, NEW),
        ("3", NEW, {}, OLD),
    ],
)
def test_installs_are_held_to_the_first_of_the_version_asked_for(
    version: str, sha256: str, policy: dict[str, Any], after: str
) -> None:
    known = ToolsLock(tools={"hello": LockedTool(version="2", sha256=OLD)})
    seen = ToolsLock(tools={"hello": LockedTool(version=version, sha256=sha256)})

    assert merged_of(known, seen, agent(**policy)).tools["hello"].sha256 == after


def test_another_version_in_the_spec_is_another_pin() -> None:
    known = ToolsLock(tools={"hello": LockedTool(version="1", sha256=OLD)})
    seen = ToolsLock(tools={"hello": LockedTool(version="2", sha256=NEW)})

    assert merged_of(known, seen, agent()).tools["hello"].sha256 == NEW


@pytest.mark.parametrize(
    "asked,version,constraints,after",
    [
        ({"source": "pypi:hello==2"}, "2", (), NEW),
        ({"source": "mcp+stdio:npm:@scope/hello@2"}, "2", (), NEW),
        ({"source": "pypi:hello==2"}, "3", (), OLD),
        ({"source": "pypi:hello"}, "2", (), OLD),
        ({"source": "pypi:hello==1", "config": {"constraints": ["dep<3"]}}, "1", ("dep<3",), NEW),
        ({"source": "pypi:hello==1", "config": {"constraints": ["dep<3"]}}, "1", ("dep<4",), OLD),
    ],
)
def test_a_version_or_constraint_of_the_source_is_another_pin_too(
    asked: dict[str, Any], version: str, constraints: tuple[str, ...], after: str
) -> None:
    known = ToolsLock(tools={"hello": LockedTool(version="1", sha256=OLD)})
    seen = ToolsLock(tools={"hello": LockedTool(version=version, sha256=NEW, constraints=constraints)})

    assert merged_of(known, seen, with_tool(asked)).tools["hello"].sha256 == after


def test_another_version_in_the_platforms_catalogue_is_another_pin() -> None:
    known = ToolsLock(tools={"ruff": LockedTool(version="1", sha256=OLD)})
    seen = ToolsLock(tools={"ruff": LockedTool(version="2", sha256=NEW)})
    subject = AgentType.model_validate(
        agent().model_dump() | {"spec": {"agent": {"image": "x:1"}, "tools": {"required": ["ruff"]}}}
    )

    for version, after in (("1", OLD), ("2", NEW)):
        entry = ToolDefinition(name="ruff", source=f"pypi:ruff=={version}")
        merged = merged_of(known, seen, subject, PlatformSettings(catalogue={"ruff": entry}))
        assert merged.tools["ruff"].sha256 == after


def test_the_lock_is_rendered_into_tools_json_and_into_nothing_else() -> None:
    subject = agent()
    children = render(subject, PlatformSettings())

    held = held_to(children, definitions(docs__a=OLD), subject)

    changed = [(before, after) for before, after in zip(children, held, strict=True) if before != after]
    assert [after["kind"] for _, after in changed] == ["ConfigMap"]
    config = json.loads(changed[0][1]["data"]["tools.json"])
    assert config["lock"]["definitions"]["docs__a"]["hash"] == OLD


def test_a_lock_that_is_too_large_for_a_config_map_keeps_its_hashes() -> None:
    text = "x" * 8000
    lock = ToolsLock(definitions={f"s__{n}": PinnedDefinition(hash=OLD, text=text) for n in range(1000)})

    written = lock.serialise()

    assert len(written) < 400_000
    assert hashes(ToolsLock.model_validate_json(written)) == hashes(lock)


async def prepared(client: Client) -> ToolsLock:
    subject = agent()
    children = await keeper(client).prepare(OBJ, subject, render(subject, PlatformSettings()))
    configs = (each["data"] for each in children if each["kind"] == "ConfigMap")
    (config,) = (json.loads(data["tools.json"]) for data in configs if "tools.json" in data)
    return ToolsLock.model_validate(config.get("lock") or {})


@pytest.mark.parametrize("owner", ["uid-now", ""], ids=["own", "of-a-backup"])
async def test_a_lock_of_this_agent_is_taken(api: FakeApi, client: Client, owner: str) -> None:
    api.create(CONFIG_MAPS, lock_object(owner=owner))

    assert hashes(await prepared(client)) == {"docs__a": OLD}


@pytest.mark.parametrize(
    "found, error",
    [(lock_object(owner="uid-before"), Conflict), (lock_object(labelled=False), Occupied)],
    ids=["of-the-agent-before", "of-nobody"],
)
async def test_a_lock_of_others_is_not_inherited(
    api: FakeApi, client: Client, found: dict[str, Any], error: type[Exception]
) -> None:
    api.create(CONFIG_MAPS, found)

    with pytest.raises(error, match=LOCK):
        await prepared(client)

    assert api.writes() == []


async def test_a_lock_that_was_deleted_is_made_again(api: FakeApi, client: Client) -> None:
    pins, request = keeper(client), Request(ObjectKey("here", "subject"), "id")
    report = ToolsReport(agent="subject", ready=True, lock=definitions(docs__a=OLD))
    assert await pins.keep(request, OBJ, agent(), report, RENDERED)
    assert not await pins.keep(request, OBJ, agent(), report, RENDERED)
    assert len(api.writes()) == 1
    api.remove(CONFIG_MAPS, LOCK, "here")

    assert not await pins.keep(request, OBJ, agent(), None, RENDERED)

    written = api.read(CONFIG_MAPS, LOCK, "here")["data"]["tools.lock.json"]
    assert hashes(ToolsLock.model_validate_json(written)) == {"docs__a": OLD}


async def test_a_lock_that_a_person_gives_to_a_new_agent_is_taken_over(api: FakeApi, client: Client) -> None:
    stores = Stores(ALL)
    pins, children = keeper(client, stores), render(agent(), PlatformSettings())
    assert await pins.prepare(OBJ, agent(), children) == children
    given = lock_object()
    api.create(CONFIG_MAPS, given)
    stores[CONFIGURED].put("", msgspec.convert(given, ConfigObject))

    held = await pins.prepare(OBJ, agent(), children)

    assert any(OLD in json.dumps(each) for each in held)


async def test_nothing_is_asked_while_the_cache_shows_the_lock(api: FakeApi, client: Client) -> None:
    api.create(CONFIG_MAPS, lock_object(owner="uid-now"))
    stores = Stores(ALL)
    stores[CONFIGURED].put("", msgspec.convert(lock_object(owner="uid-now"), ConfigObject))
    pins, request = keeper(client, stores), Request(ObjectKey("here", "subject"), "id")

    for _ in range(3):
        assert not await pins.keep(request, OBJ, agent(), None, RENDERED)

    assert [call.verb for call in api.calls] == ["get"]


@pytest.mark.parametrize("character", ["x", '"', "\n", "\x01", "\u20ac", "\U0001f600"])
@pytest.mark.parametrize("count", [2, 12, 25])
def test_a_report_with_its_lock_is_never_larger_than_what_is_read(character: str, count: int) -> None:
    pinned = PinnedDefinition(hash=OLD, call_hash=NEW, text=character * 8192)
    lock = ToolsLock(definitions={f"s__{n}": pinned for n in range(count)})

    report = ToolsReport(agent="subject", ready=True, lock=lock.bounded())

    assert len(report.model_dump_json(by_alias=True).encode()) < REPORT_BYTES * 3 / 4
    assert hashes(report.lock) == hashes(lock)
    encoded_bytes = 8192 * count * (len(json.dumps(character, ensure_ascii=False).encode()) - 2)
    assert bool(report.lock.definitions["s__0"].text) == (encoded_bytes < LARGEST_BYTES)
