"""Sources, arguments, places, addresses, pins and the store: the parts below the services."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent_api.toolsconfig import Argument, PlannedTool, ToolCatalogue, ToolDefinition, ToolOptions, ToolsPolicy
from agent_kit.settings import describe
from agent_toolproxy import __version__
from agent_toolproxy.call import Call, Json, Offer, define
from agent_toolproxy.credentials import Credentials
from agent_toolproxy.errors import (
    ChecksumMismatch,
    InvalidArguments,
    NotAllowed,
    NotFound,
    PinMismatch,
    SourceInvalid,
    StoreBusy,
    ToolBusy,
    ToolNotReady,
)
from agent_toolproxy.installers.packager import classify_failure
from agent_toolproxy.memory.resp import CommandError, encode_command, parse_redis_url, read_reply
from agent_toolproxy.network.guard import NetworkGuard
from agent_toolproxy.process.arguments import build_invocation, input_schema_of
from agent_toolproxy.process.runner import ProcessResult
from agent_toolproxy.schema import Schema, SchemaError
from agent_toolproxy.settings import ToolProxySettings
from agent_toolproxy.sources.source import (
    BuiltinSource,
    HttpServer,
    HttpsSource,
    NpmSource,
    PathSource,
    PypiSource,
    StdioServer,
    parse_source,
)
from agent_toolproxy.store.lockfile import LockedTool, LockFile
from agent_toolproxy.store.store import Record, Store
from agent_toolproxy.tools.discovery import find_tool, is_allowed
from agent_toolproxy.tools.gate import Gate
from agent_toolproxy.tools.pinning import Pins, hash_definition
from agent_toolproxy.tools.search import rank

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "text,expected",
    [
        ("https://e.com/x", HttpsSource("https://e.com/x")),
        ("pypi:a-b[c]==1.0", PypiSource("a-b", "[c]", "1.0")),
        ("pypi:a", PypiSource("a", "", "")),
        ("npm:@s/p@1.0.0", NpmSource("@s/p", "1.0.0")),
        ("npm:p", NpmSource("p", "")),
        ("path:git", PathSource("git")),
        ("mcp+stdio:npm:p@1.0.0", StdioServer(NpmSource("p", "1.0.0"))),
        ("mcp+https://e.com/mcp?x=1", HttpServer("https://e.com/mcp?x=1")),
        ("builtin:memory", BuiltinSource("memory")),
    ],
)
def test_sources(text: str, expected: object) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "git", "ftp://e.com/x", "https://", "https://u:p@e.com/x", "https://e.com/a b", "pypi:a>=1", "pypi:a==1;b",
     "pypi:-r", "npm:../x", "npm:a@", "npm:a@--flag", "path:/bin/sh", "path:-x", "mcp+stdio:builtin:memory",
     "builtin:other",
     "mcp+stdio:mcp+https://e.com", "https://[::1", "npm:file:x"],
)  # fmt: skip
def test_sources_that_are_none(text: str) -> None:
    with pytest.raises(SourceInvalid):
        parse_source(text)


def test_a_password_in_a_source_is_not_repeated() -> None:
    with pytest.raises(SourceInvalid) as caught:
        parse_source("https://e.com/x?token=canary secret")
    assert "canary" not in str(caught.value)


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a_b": {"type": "string"}, "on": {"type": "boolean"}, "stdin": {}},
}


def test_without_a_template_properties_are_flags() -> None:
    options = ToolOptions(input_schema=SCHEMA, arguments=("sub",))
    built = build_invocation(options, {"a_b": "-x y", "on": True, "stdin": "text"})
    assert (built.argv, built.stdin) == (("sub", "--a-b=-x y", "--on"), b"text")
    assert build_invocation(options, {"on": False, "a_b": None}).argv == ("sub",)


@given(st.lists(st.text(max_size=20), max_size=6))
def test_default_arguments_are_passed_as_they_are(args: list[str]) -> None:
    assert build_invocation(ToolOptions(), {"args": args}).argv == tuple(args)


def test_positional_values_cannot_become_options() -> None:
    guarded = ToolOptions(input_schema=SCHEMA, argv=(Argument(property="a_b"),))
    with pytest.raises(InvalidArguments, match="a_b"):
        build_invocation(guarded, {"a_b": "--evil"})
    after = ToolOptions(input_schema=SCHEMA, argv=("--", Argument(property="a_b")))
    assert build_invocation(after, {"a_b": "--fine"}).argv == ("--", "--fine")
    with pytest.raises(InvalidArguments, match="lists of them"):
        build_invocation(after, {"a_b": {"an": "object"}})


def test_schemas_follow_no_reference_and_terminate() -> None:
    with pytest.raises(SchemaError, match="not followed"):
        Schema({"$ref": "http://127.0.0.1:1/evil.json"})
    with pytest.raises(SchemaError):
        Schema({"type": "no such type"})
    slow = Schema({"type": "object", "properties": {"a": {"pattern": "^(a+)+$", "type": "string"}}})
    assert slow.problems({"a": "a" * 5000 + "b"})
    with pytest.raises(InvalidArguments, match="a: "):
        slow.check({"a": 1})


def planned(name: str, **more: Any) -> PlannedTool:
    return PlannedTool(name=name, **more)


def test_places_have_an_order() -> None:
    here = {"tool": "/usr/bin/tool"}.get
    own = ToolDefinition(name="tool", source="https://e.com/own")
    theirs = ToolDefinition(name="tool", source="https://e.com/theirs", description="d")
    nothing = lambda _: None  # noqa: E731 - a stand-in
    both = planned("tool", catalogue=theirs, custom=own)
    found = find_tool(both, ToolsPolicy(), nothing, here)
    assert (found.place, found.source, found.definition.description) == ("path", PathSource("/usr/bin/tool"), "d")
    found = find_tool(both, ToolsPolicy(), nothing, nothing)
    assert (found.place, found.source) == ("catalogue", HttpsSource("https://e.com/theirs"))
    assert find_tool(planned("tool", custom=own), ToolsPolicy(), nothing, nothing).place == "custom"
    record = Record(name="tool", key=found.key, digest="d", source="s", program="p")
    assert find_tool(both, ToolsPolicy(), lambda _: record, here).place == "installed"
    other = record.model_copy(update={"key": "other"})
    assert find_tool(both, ToolsPolicy(), lambda _: other, here).place == "path"
    with pytest.raises(NotFound, match=r"tools\.custom"):
        find_tool(planned("tool"), ToolsPolicy(), nothing, nothing)
    server = ToolDefinition(name="tool", source="mcp+https://e.com/mcp")
    assert find_tool(planned("tool", custom=server), ToolsPolicy(), nothing, here).place == "custom"


@pytest.mark.parametrize(
    "allow,deny,allowed",
    [
        ((), (), True),
        (("s__*",), (), True),
        (("other",), (), False),
        ((), ("s__t",), False),
        (("s",), ("*__t",), False),
    ],
)
def test_deny_wins_over_allow(allow: tuple[str, ...], deny: tuple[str, ...], allowed: bool) -> None:
    assert is_allowed(ToolsPolicy(allow=allow, deny=deny), "s__t", "s") is allowed


def test_a_denied_tool_is_not_looked_for() -> None:
    with pytest.raises(NotAllowed):
        find_tool(planned("git"), ToolsPolicy(deny=("git",)), lambda _: None, lambda _: "/usr/bin/git")


@pytest.mark.parametrize(
    "address,permitted",
    [("93.184.216.34", True), ("2606:4700::1", True), ("10.1.2.3", False), ("127.0.0.1", False),
     ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False),  # noqa: S104 - refused
     ("::1", False), ("fe80::1%eth0", False), ("fd00::1", False), ("::ffff:10.0.0.1", False),
     ("64:ff9b::a00:1", False), ("2002:a00:1::", False), ("not an address", False)],
)  # fmt: skip
def test_only_public_addresses_are_permitted(address: str, permitted: bool) -> None:
    assert NetworkGuard().permits(address) is permitted


def test_networks_can_be_allowed() -> None:
    guard = NetworkGuard(["10.0.0.0/8", "fd00::/8"])
    assert guard.permits("10.1.2.3")
    assert guard.permits("::ffff:10.0.0.1")
    assert guard.permits("fd00::1")
    assert not guard.permits("192.168.0.1")
    with pytest.raises(ValueError, match=r"."):
        guard.allow(["nowhere"])


async def test_the_gate_lets_in_as_many_as_it_may() -> None:
    gate = Gate(1)
    inside: list[int] = []

    async def pass_through(number: int) -> None:
        async with gate.enter(5):
            inside.append(number)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group, gate.enter(1):
        with pytest.raises(ToolBusy):
            async with gate.enter(0.01):
                pass
        waiting = [group.create_task(pass_through(number)) for number in range(4)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.sleep(0)
        assert inside == []
        gate.resize(3)
        await asyncio.sleep(0)
        assert inside == [0, 2]
    assert inside == [0, 2, 3]


def test_credentials_are_registered_before_anyone_has_them(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("value\n")
    seen: list[str] = []
    credentials = Credentials(tmp_path, seen.append)
    assert credentials.read("key") == "value"
    assert seen == ["value\n"]
    for key in ("missing", "../key", ".hidden"):
        with pytest.raises(ToolNotReady):
            credentials.read(key)
    with pytest.raises(ToolNotReady, match="credentialsSecret"):
        Credentials(None, seen.append).read("key")


@pytest.fixture
def lock(tmp_path: Path) -> LockFile:
    return LockFile(tmp_path / "own", tmp_path / "workspace")


def locked(sha256: str, version: str = "1") -> LockedTool:
    return LockedTool(version=version, source="s", platform="p", sha256=sha256)


@pytest.mark.parametrize("pinning,refused", [("Enforce", True), ("Warn", False), ("Off", False)])
def test_installs_are_held_to_the_first(lock: LockFile, pinning: Any, refused: bool) -> None:
    pins = Pins(lock, ToolsPolicy(pinning=pinning))
    pins.check_install("t", locked("a"), sha256="")
    pins.record_install("t", locked("a"))
    pins.check_install("t", locked("b", version="2"), sha256="")
    if refused:
        with pytest.raises(PinMismatch, match=r"policy\.approved"):
            pins.check_install("t", locked("b"), sha256="")
        pins.policy = ToolsPolicy(approved={"t": "b"})
    pins.check_install("t", locked("b"), sha256="")


def test_promised_digests_decide_before_pins(lock: LockFile) -> None:
    pins = Pins(lock, ToolsPolicy(require_checksum=True))
    with pytest.raises(NotAllowed, match="requireChecksum"):
        pins.check_install("t", locked("a"), sha256="")
    with pytest.raises(ChecksumMismatch):
        pins.check_install("t", locked("a"), sha256="b")
    pins.record_install("t", locked("z"))
    pins.check_install("t", locked("a"), sha256="a")


def test_definitions_are_held_to_the_first(lock: LockFile, tmp_path: Path) -> None:
    pins = Pins(lock)
    first, second = {"name": "s__t", "description": "a"}, {"name": "s__t", "description": "b"}
    assert pins.judge({"s__t": first}) == {}
    again = LockFile(tmp_path / "elsewhere", tmp_path / "workspace")
    again.load()
    pins = Pins(again)
    drift = pins.judge({"s__t": second})["s__t"]
    assert (drift.pinned, drift.seen) == (hash_definition(first), hash_definition(second))
    pins.policy = ToolsPolicy(approved={"s__t": drift.seen})
    assert pins.judge({"s__t": second}) == {}


def test_the_hash_is_of_what_a_model_reads() -> None:
    definition = {"name": "t", "inputSchema": {"b": 1, "a": [1, 2]}}
    assert hash_definition(definition) == hash_definition(
        {"inputSchema": {"a": [1, 2], "b": 1}, "name": "t", "icons": []}
    )
    assert hash_definition(definition) != hash_definition({**definition, "inputSchema": {"b": 1, "a": [2, 1]}})


def test_lists_of_packages_must_be_what_their_name_says(lock: LockFile, tmp_path: Path) -> None:
    content = "a==1 --hash=sha256:0\n"
    digest = hashlib.sha256(content.encode()).hexdigest()
    lock.set_tool("t", locked(digest), content)
    assert lock.packages(digest) == content
    (tmp_path / "own/tools.lock.d" / digest).unlink()
    assert lock.packages(digest) == content
    (tmp_path / "workspace/tools.lock.d" / digest).write_text("evil==1")
    assert lock.packages(digest) is None
    assert lock.packages("../../etc/passwd") is None


def test_the_store_is_one_proxys(tmp_path: Path) -> None:
    store = Store(tmp_path).open()
    with pytest.raises(StoreBusy, match="another tool proxy"):
        Store(tmp_path).open()
    store.close()
    Store(tmp_path).open().close()


def test_what_is_staged_is_seen_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path).open()
    with store.staging() as staged:
        (staged / "program").write_text("x")
        assert store.entry("d1") is None
        folder = store.commit(staged, "d1")
    with store.staging() as staged:
        (staged / "program").write_text("later")
        assert store.commit(staged, "d1") == folder
    assert (folder / "program").read_text() == "x"
    with pytest.raises(RuntimeError), store.staging() as staged:
        raise RuntimeError
    assert not list((tmp_path / "staging").iterdir())
    record = Record(name="t", key="k", digest="d1", source="s", program="program")
    store.save(record)
    store.link("t", folder / "program")
    assert store.record_of("t") == record
    store.forget_others(["t"])
    assert (tmp_path / "bin/t").read_text() == "x"
    store.forget_others([])
    assert store.record_of("t") is None
    assert not list((tmp_path / "store").iterdir()) + list((tmp_path / "bin").iterdir())
    store.close()


def failed(stderr: str) -> ProcessResult:
    return ProcessResult(exit_code=1, stderr=stderr.encode())


@pytest.mark.parametrize(
    "stderr,kind,retryable",
    [
        ("error: Hash mismatch for `x==1`", "PinMismatch", False),
        ("npm error code EINTEGRITY", "PinMismatch", False),
        ("npm error code E404\nnpm error 404 Not Found", "NotFound", False),
        ("npm error code ETARGET\nnpm error notarget No matching version found", "NotFound", False),
        ("npm error code E404\nnpm error 404 Not Found - GET http://h/networkx-mcp", "NotFound", False),
        ("  x No solution found\n  Because there is no version of x==1.500 and you require it", "NotFound", False),
        ("  x No solution found\n  Because a depends on b<1 and you require b>1", "PackageFailed", False),
        ("error: Failed to fetch: `u`\n  cause: invalid peer certificate: UnknownIssuer", "PackageFailed", False),
        ("npm error code E401\nnpm error 401 Unauthorized - GET http://h/network", "PackageFailed", False),
        ("error: Failed to download\n  cause: No space left on device (os error 28)", "PackageFailed", False),
        ("npm error code ECONNREFUSED", "PackageFailed", True),
        ("error: Failed to fetch: `http://x`\n  Caused by: HTTP status server error (503)", "PackageFailed", True),
        ("something else", "PackageFailed", False),
    ],
)
def test_what_packagers_say_is_told_apart(stderr: str, kind: str, retryable: bool) -> None:
    failure = classify_failure(failed(stderr))
    assert (type(failure).__name__, failure.retryable) == (kind, retryable)


@pytest.mark.parametrize("url", ["http://h", "redis://", "redis://h/x", "h:6379"])
def test_urls_that_are_not_of_a_memory(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        parse_redis_url(url)


def test_a_memorys_url_is_taken_apart() -> None:
    address = parse_redis_url("rediss://user:p%40ss@h:1234/3")
    assert (address.host, address.port, address.database, address.username, address.password, address.tls) == (
        "h", 1234, 3, "user", "p@ss", True,
    )  # fmt: skip


async def reply_to(data: bytes) -> Any:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await read_reply(reader)


async def test_replies_of_redis() -> None:
    assert await reply_to(b"+OK\r\n") == b"OK"
    assert await reply_to(b":-5\r\n") == -5
    assert await reply_to(b"$-1\r\n") is None
    assert await reply_to(b"$4\r\na\r\nb\r\n") == b"a\r\nb"
    assert await reply_to(b"*3\r\n$1\r\na\r\n*0\r\n*-1\r\n") == [b"a", [], None]
    with pytest.raises(CommandError, match="WRONGTYPE x"):
        await reply_to(b"-WRONGTYPE x\r\n")
    for data in (b"hello\r\n", b"$99999999999\r\n", b"$5\r\nab", b"", b":x\r\n", b"*2\r\n-ERR x\r\n:1\r\n"):
        with pytest.raises((ValueError, EOFError)):
            await reply_to(data)


@given(
    st.lists(st.binary(max_size=20) | st.integers() | st.text(max_size=20).filter(str.isascii), min_size=1, max_size=5)
)
def test_commands_are_read_back_as_they_were_written(parts: list[Any]) -> None:
    expected = [each if isinstance(each, bytes) else str(each).encode() for each in parts]
    assert asyncio.run(reply_to(encode_command(tuple(parts)))) == expected


def offer(name: str, description: str) -> Offer:
    async def handler(call: Call, /) -> Json:
        return {"name": name, "arguments": dict(call.arguments)}

    return Offer(owner=name, kind="command", definition=define(name, description, {"type": "object"}), handler=handler)


def test_tools_are_found_by_their_words() -> None:
    offers = [
        offer("git", "Work with a source code repository."),
        offer("files__read", "Read a file of the workspace."),
        offer("files__write", "Write a file of the workspace."),
    ]
    assert [each.name for each in rank(offers, "read file")] == ["files__read", "files__write"]
    assert [each.name for each in rank(offers, "repo")] == ["git"]
    assert rank(offers, "nothing alike") == []
    assert [each.name for each in rank(offers, "")] == ["files__read", "files__write", "git"]


def test_every_entry_of_the_catalogue_can_be_used() -> None:
    catalogue = ToolCatalogue.model_validate(yaml.safe_load((ROOT / "deploy/base/catalog/tools.yaml").read_text()))
    names = [each.name for each in catalogue.tools]
    assert len(names) == len(set(names))
    assert {"git", "jq", "ripgrep", "kubectl", "python", "node", "fetch", "filesystem"} <= set(names)
    for each in catalogue.tools:
        assert each.description
        schema = Schema(input_schema_of(each))
        placed = {part.property for part in each.argv if isinstance(part, Argument)}
        assert placed <= set(schema.document.get("properties", {})), each.name
        if each.source:
            parse_source(each.source)
        assert all(artifact.url.startswith("https://") for artifact in each.artifacts)


def test_the_catalogues_ripgrep_takes_a_pattern_that_looks_like_an_option() -> None:
    catalogue = ToolCatalogue.model_validate(yaml.safe_load((ROOT / "deploy/base/catalog/tools.yaml").read_text()))
    ripgrep = next(each for each in catalogue.tools if each.name == "ripgrep")
    argv = build_invocation(ripgrep, {"pattern": "--pre=sh", "paths": ["-x"]}).argv
    assert argv[-3:] == ("--regexp=--pre=sh", "--", "-x")


def test_the_version_is_the_packages() -> None:
    assert f'version = "{__version__}"' in (ROOT / "services/toolproxy/pyproject.toml").read_text()


def test_lock_files_are_written_for_people(lock: LockFile, tmp_path: Path) -> None:
    lock.set_tool("t", locked("a" * 64))
    text = (tmp_path / "workspace/tools.lock.json").read_text()
    assert json.loads(text)["tools"]["t"]["sha256"] == "a" * 64
    assert text.startswith("{\n  ")


def test_the_table_of_settings_is_the_codes() -> None:
    page = (ROOT / "docs/reference/toolproxy.md").read_text()
    assert describe(ToolProxySettings) in page


def test_the_page_of_tools_names_the_whole_catalogue_and_every_option() -> None:
    page = (ROOT / "docs/reference/tools.md").read_text()
    catalogue = yaml.safe_load((ROOT / "deploy/base/catalog/tools.yaml").read_text())
    options = [field.alias or name for name, field in ToolOptions.model_fields.items()]
    assert not [name for name in (*options, *(each["name"] for each in catalogue["tools"])) if f"`{name}`" not in page]
