"""What a cassette holds: bytes that come back, nothing secret, and lines that stay what they were."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_api.cassette import Body, RecordedRequest, RecordedResponse, Recording
from agent_base.redaction import Redactor
from agentberth.errors import CommandError
from agentberth.replay.bodies import dump, pack, pack_chunk, unpack, unpack_chunk
from agentberth.replay.canonical import Canonical
from agentberth.replay.cassettefile import read_cassette, write_cassette
from agentberth.replay.masking import Masking
from agentberth.replay.matching import Player
from agentberth.replay.miss import Miss

CANARY = "canary-7f3a91c0"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def chat(content: str = "hi", **more: object) -> bytes:
    return dump({"model": "auto", "messages": [{"role": "user", "content": content}], **more}).encode()


def recorded(body: bytes = chat(), answer: bytes = b'{"ok":true}', **more: object) -> Recording:
    request = RecordedRequest(method="POST", path="/v1/chat/completions", body=pack(body))
    return Recording(side="models", request=request, response=RecordedResponse(body=pack(answer)), **more)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | JSON.map(lambda value: dump(value).encode()))
def test_a_body_gives_its_bytes_back(raw: bytes) -> None:
    body = Body.model_validate_json(pack(raw).model_dump_json(by_alias=True, exclude_defaults=True))

    assert unpack(body) == raw


@given(st.lists(st.binary()))
def test_a_stream_cut_anywhere_gives_its_bytes_back(parts: list[bytes]) -> None:
    assert [unpack_chunk(pack_chunk(at, part)) for at, part in enumerate(parts)] == parts


def test_json_is_kept_as_json_so_that_it_can_be_edited(tmp_path: Path) -> None:
    write_cassette(tmp_path / "a.jsonl", "tester", [recorded()])

    line = (tmp_path / "a.jsonl").read_text().splitlines()[1]

    assert json.loads(line)["request"]["body"]["json"]["messages"][0]["content"] == "hi"
    edited = line.replace('"hi"', '"ho"')
    (tmp_path / "a.jsonl").write_text(f'{{"cassette":1,"agent":"tester"}}\n\n{edited}\n')
    (take,) = read_cassette(tmp_path / "a.jsonl").recordings
    assert unpack(take.request.body) == chat("ho")


@pytest.mark.parametrize(
    "one,other",
    [
        (chat(), b'{"messages": [{"content":"hi","role":"user"}],  "model":"auto"}'),
        (chat(user="a", metadata={"run": 1}), chat()),
        (chat("on 2026-01-02"), chat("on 2027-12-31T08:15:00Z")),
        (chat("Today is Friday, January 2, 2026."), chat("Today is Tue, 3 March 2026.")),
        (chat("Sat Nov 28 22:36:03 UTC 2026"), chat("Sun Nov  1 01:02:03 CET 2026")),
        (chat("id 0b5f3c1e-7a52-4a4e-9df5-0c2b6f9f1c11"), chat("id 9a4e5f3c-1e7a-4a4e-9df5-0c2b6f9f1c11")),
        (chat("at http://127.0.0.1:8801/v1"), chat("at http://127.0.0.1:43211/v1")),
        (chat(tools=[{"name": "a"}, {"name": "b"}]), chat(tools=[{"name": "b"}, {"name": "a"}])),
        (
            chat(input=[{"type": "function_call", "call_id": "x1"}, {"type": "function_call_output", "call_id": "x1"}]),
            chat(input=[{"type": "function_call", "call_id": "q"}, {"type": "function_call_output", "call_id": "q"}]),
        ),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{"progressToken":1}}}',
            b'{"jsonrpc":"2.0","id":"z","method":"tools/call","params":{"name":"a"}}',
        ),
    ],
)
def test_what_does_not_matter_is_not_compared(one: bytes, other: bytes) -> None:
    canonical = Canonical()

    assert canonical.key("POST", "/x", one) == canonical.key("POST", "/x", other)


@pytest.mark.parametrize(
    "one,other",
    [
        (chat("hi"), chat("ho")),
        (chat(), chat(temperature=0)),
        (chat("version 1.2.3"), chat("version 1.2.4")),
        (chat(input=[{"call_id": "a"}, {"call_id": "a"}]), chat(input=[{"call_id": "a"}, {"call_id": "b"}])),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"id":"7","on":"2026-01-01"}}}',
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"id":"7","on":"2026-01-02"}}}',
        ),
        (b'{"arguments":{"id":"1"}}', b'{"arguments":{"id":"2"}}'),
        (b'{"messages":[1,2]}', b'{"messages":[2,1]}'),
    ],
)
def test_what_matters_is_compared(one: bytes, other: bytes) -> None:
    canonical = Canonical()

    assert canonical.key("POST", "/x", one) != canonical.key("POST", "/x", other)


def test_results_of_tools_called_together_may_come_in_any_order() -> None:
    calls = {"role": "assistant", "tool_calls": [{"id": "a"}, {"id": "b"}]}
    results = [
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
    ]
    swapped = [
        {"role": "tool", "tool_call_id": "a", "content": "2"},
        {"role": "tool", "tool_call_id": "b", "content": "1"},
    ]
    canonical = Canonical()

    key = canonical.value([calls, *results])

    assert key == canonical.value([calls, *reversed(results)])
    assert key != canonical.value([calls, *swapped])


def test_recording_again_changes_no_line_that_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    first = recorded(answer=b'{"id":"chatcmpl-1","created":1,"choices":[{"text":"hello"}]}')
    again = recorded(answer=b'{"id":"chatcmpl-2","created":2,"choices":[{"text":"hello"}]}')
    other = recorded(answer=b'{"id":"chatcmpl-2","created":2,"choices":[{"text":"goodbye"}]}')

    write_cassette(file, "tester", [first])
    before = file.read_bytes()
    write_cassette(file, "tester", [again])
    assert file.read_bytes() == before
    write_cassette(file, "tester", [other])
    assert file.read_bytes() != before


def player(*recordings: Recording) -> Player:
    return Player(recordings, Canonical())


def test_each_effect_is_answered_as_often_as_it_was_recorded() -> None:
    one, two = recorded(answer=b'"1"'), recorded(answer=b'"2"')
    tape = player(one, two)

    assert [tape.find("models", "POST", "/v1/chat/completions", chat()) for _ in range(2)] == [one, two]
    third = tape.find("models", "POST", "/v1/chat/completions", chat())
    assert isinstance(third, Miss)
    assert "was recorded 2 times" in third.message


def test_what_only_reads_may_be_asked_for_again() -> None:
    request = RecordedRequest(method="GET", path="/v1/models")
    listing = Recording(side="models", request=request, response=RecordedResponse(body=pack(b"[]")))
    tape = player(listing)

    assert [tape.find("models", "GET", "/v1/models", b"") for _ in range(3)] == [listing] * 3
    assert list(player(listing).unused()) == []


def test_a_miss_shows_the_nearest_recording_and_what_differs_at_the_end_of_a_long_text() -> None:
    long = "word " * 400
    tape = player(recorded(chat("something else")), recorded(chat(f"{long} old")))

    miss = tape.find("models", "POST", "/v1/chat/completions", chat(f"{long} new"))

    assert isinstance(miss, Miss)
    assert any(line.startswith("-") and "old" in line for line in miss.diff)
    assert any(line.startswith("+") and "new" in line for line in miss.diff)
    assert len(miss.diff) < 20


@pytest.mark.parametrize(
    "text,message",
    [
        ("", "is empty"),
        ("{}", "1: agent: Field required"),
        ('{"cassette":2,"agent":"a"}', "1: cassette: Input should be 1"),
        ('{"cassette":1,"agent":"a"}\n{"side":"models"}', "2: request: Field required"),
        ('{"cassette":1,"agent":"a"}\nnonsense', "2: Invalid JSON"),
        (
            '{"cassette":1,"agent":"a"}\n'  # noqa: ISC004 - two lines of the file
            '{"side":"models","request":{"method":"GET","path":"/","body":{"base64":"!"}},"response":{}}',
            "2: base64 that cannot be read",
        ),
    ],
)
def test_a_faulty_cassette_is_one_error_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)

    with pytest.raises(CommandError, match=message):
        read_cassette(tmp_path / "a.jsonl")


@pytest.fixture
def masking(tmp_path: Path) -> Masking:
    redactor = Redactor()
    redactor.add(CANARY)
    return Masking(redactor, tmp_path)


@pytest.mark.parametrize(
    "raw",
    [
        f'{{"a":"{CANARY}"}}'.encode(),
        f"plain {CANARY} text".encode(),
        b'{"authorization":"Bearer abcdefgh12345678"}',
        json.dumps({"a": "\\u0063" + CANARY[1:], "b": CANARY}).encode(),
        b"\xff\xfe" + CANARY.encode(),
        f'{{"a":"\\u0063{CANARY[1:]}"}}'.encode(),
    ],
)
def test_no_secret_is_kept_of_a_body(masking: Masking, raw: bytes) -> None:
    masked, changed = masking.whole(raw)

    assert changed
    assert CANARY.encode() not in masked
    assert b"abcdefgh12345678" not in masked
    assert CANARY not in str(json.loads(masked)) if masked.startswith(b"{") else True


@given(st.lists(st.integers(min_value=1, max_value=6), min_size=1, max_size=30), st.booleans())
def test_no_secret_is_kept_of_a_stream_however_it_is_cut(sizes: list[int], chunked: bool) -> None:
    redactor = Redactor()
    redactor.add(CANARY)
    said = f"the key is {CANARY}, they say"
    parts, at = [], 0
    for size in sizes:
        parts.append(said[at : at + size])
        at += size
    parts.append(said[at:])
    stream = "".join(f"data: {json.dumps({'delta': {'content': part}})}\n\n" for part in parts).encode()
    raw = [f"data: {said}\n\n".encode()[i : i + 3] for i in range(0, 60, 3)] if chunked else [stream]

    kept, masked = Masking(redactor, Path("/run")).stream(tuple(pack_chunk(0, each) for each in raw))

    whole = b"".join(map(unpack_chunk, kept)).decode()
    spoken = "".join(
        json.loads(line[6:])["delta"]["content"] for line in whole.splitlines() if line.startswith("data: {")
    )
    assert masked
    assert CANARY not in whole
    assert CANARY not in spoken


def test_what_holds_no_secret_is_kept_byte_by_byte(masking: Masking) -> None:
    for raw in (b'{"a": 1,\n "b": [1.50]}', b"\x00\xff", b"", b"plain"):
        assert masking.whole(raw) == (raw, False)
