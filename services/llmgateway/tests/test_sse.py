import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.wire.sse import EVENT_LIMIT_BYTES, EventScanner, read_data

LINES = st.binary(max_size=40).filter(lambda b: b"\n" not in b and b"\r" not in b and b != b"")
EVENTS = st.lists(LINES, min_size=1, max_size=8)


@given(EVENTS, st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"]), st.lists(st.integers(1, 9), min_size=1))
def test_however_it_is_cut_nothing_is_lost_and_nothing_is_made_up(
    lines: list[bytes], blank: bytes, sizes: list[int]
) -> None:
    whole = b"".join(b"data: " + line + blank for line in lines)
    scanner = EventScanner()
    raw, found, at, turn = b"", [], 0, 0
    while at < len(whole):
        size = sizes[turn % len(sizes)]
        batch = scanner.feed(whole[at : at + size])
        raw += batch.raw
        assert b"".join(batch.blocks) == batch.raw
        found += [read_data(block) for block in batch.blocks]
        at, turn = at + size, turn + 1
    raw += scanner.finish().raw.rstrip(b"\r\n") if len(raw) < len(whole) else b""
    assert whole.startswith(raw)
    assert found == lines[: len(found)]
    assert len(found) >= len(lines) - 1


def test_a_last_event_without_its_blank_line_is_found() -> None:
    scanner = EventScanner()
    assert scanner.feed(b"data: one\n\ndata: [DONE]").blocks == [b"data: one\n\n"]
    assert [read_data(block) for block in scanner.finish().blocks] == [b"[DONE]"]
    assert scanner.finish().blocks == []


def test_a_line_of_more_than_128_kib_is_an_event_like_any_other() -> None:
    scanner = EventScanner()
    long = b"data: " + b"x" * 300_000 + b"\n\n"
    blocks = [block for at in range(0, len(long), 65_536) for block in scanner.feed(long[at : at + 65_536]).blocks]
    assert blocks == [long]


def test_an_event_without_end_is_refused() -> None:
    scanner = EventScanner()
    scanner.feed(b"x" * EVENT_LIMIT_BYTES)
    with pytest.raises(MalformedEventError):
        scanner.feed(b"x")


def test_data_of_several_lines_names_and_comments() -> None:
    assert read_data(b"event: a\ndata: {\ndata: }\n\n") == b"{\n}"
    assert read_data(b"data:x\r\n\r\n") == b"x"
    assert read_data(b": a comment\n\n") is None
    assert read_data(b"event: ping\n\n") is None
