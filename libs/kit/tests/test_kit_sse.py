import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_kit.errors import EventTooLargeError
from agent_kit.sse import Event, EventReader, EventScanner, read_data

LIMIT_BYTES = 16 << 20

LINES = st.binary(max_size=40).filter(lambda b: b"\n" not in b and b"\r" not in b and b != b"")
EVENTS = st.lists(LINES, min_size=1, max_size=8)


@given(EVENTS, st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"]), st.lists(st.integers(1, 9), min_size=1))
def test_however_it_is_cut_nothing_is_lost_and_nothing_is_made_up(
    lines: list[bytes], blank: bytes, sizes: list[int]
) -> None:
    whole = b"".join(b"data: " + line + blank for line in lines)
    scanner = EventScanner(LIMIT_BYTES)
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
    scanner = EventScanner(LIMIT_BYTES)
    assert scanner.feed(b"data: one\n\ndata: [DONE]").blocks == [b"data: one\n\n"]
    assert [read_data(block) for block in scanner.finish().blocks] == [b"[DONE]"]
    assert scanner.finish().blocks == []


def test_a_line_of_more_than_128_kib_is_an_event_like_any_other() -> None:
    scanner = EventScanner(LIMIT_BYTES)
    long = b"data: " + b"x" * 300_000 + b"\n\n"
    blocks = [block for at in range(0, len(long), 65_536) for block in scanner.feed(long[at : at + 65_536]).blocks]
    assert blocks == [long]


def test_an_event_without_end_is_refused() -> None:
    scanner = EventScanner(LIMIT_BYTES)
    scanner.feed(b"x" * LIMIT_BYTES)
    with pytest.raises(EventTooLargeError):
        scanner.feed(b"x")


def test_data_of_several_lines_names_and_comments() -> None:
    assert read_data(b"event: a\ndata: {\ndata: }\n\n") == b"{\n}"
    assert read_data(b"data:x\r\n\r\n") == b"x"
    assert read_data(b": a comment\n\n") is None
    assert read_data(b"event: ping\n\n") is None


@pytest.mark.parametrize("filler", [b"x", b"x\n", b"\rx", b"x\r\n", b"data: x\n"])
def test_an_event_that_comes_byte_by_byte_costs_no_more_than_its_length(filler: bytes) -> None:
    """Eight times the bytes took sixty-four times as long: the factor here leaves room for a busy machine."""
    took = []
    for size in (1 << 15, 1 << 18):
        scanner = EventScanner(LIMIT_BYTES)
        event = b"data: " + filler * (size // len(filler)) + b"x\n\n"
        began = time.process_time()
        batches = [scanner.feed(event[at : at + 1]) for at in range(len(event))]
        took.append(time.process_time() - began)
        assert b"".join(batch.raw for batch in batches) == event
        assert scanner.is_aligned
    assert took[1] < 30 * took[0]


@pytest.mark.parametrize("end", [b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r\n"])
def test_the_end_of_an_event_may_be_cut_anywhere(end: bytes) -> None:
    event = b"data: one\ndata: two" + end
    for at in range(1, len(event)):
        for then in range(at, len(event)):
            scanner = EventScanner(LIMIT_BYTES)
            parts = (event[:at], event[at:then], event[then:])
            batches = [scanner.feed(part) for part in parts if part]
            assert b"".join(batch.raw for batch in batches) + scanner.finish().raw.rstrip() in (event, event.rstrip())


def test_an_event_in_pieces_is_bounded_too() -> None:
    scanner = EventScanner(LIMIT_BYTES)
    scanner.feed(b"data: ")
    for _ in range(15):
        scanner.feed(b"x" * (1 << 20))
    with pytest.raises(EventTooLargeError, match="an event of more than"):
        scanner.feed(b"x" * (1 << 20))


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("then", [b"\n", b"\r", b"\r\n"])
def test_two_line_ends_of_any_kind_end_an_event(end: bytes, then: bytes) -> None:
    reader = EventReader(LIMIT_BYTES)
    events = list(reader.feed(b"data: one" + end + then + b"data: two\n\n"))

    assert [event.data for event in events] == (["one\ntwo"] if end + then == b"\r\n" else ["one", "two"])


def test_the_whole_grammar_of_events() -> None:
    reader = EventReader(LIMIT_BYTES)
    stream = b"\xef\xbb\xbfid: 7\rretry: 250\rdata\rdata:x\r\rdata: a\ndata:b\n"
    stream += b"event: other\nignored: 1\n\ndata:\n\ndata: last\n"
    events = list(reader.feed(stream))

    assert events == [Event("\nx", "message", "7"), Event("a\nb", "other", "7")]
    assert (reader.last_id, reader.retry_ms) == ("7", 250)
    assert [event.data for event in reader.feed(b"\n")] == ["last"]


def test_an_endless_event_is_an_error_of_the_reader() -> None:
    reader = EventReader(1 << 20)
    parts = itertools.repeat(b"data: " + b"x" * (1 << 16) + b"\n", 80)
    with pytest.raises(EventTooLargeError):
        list(itertools.chain.from_iterable(map(reader.feed, parts)))


def test_a_stream_that_is_resumed_begins_with_a_new_event() -> None:
    reader = EventReader(LIMIT_BYTES)
    list(reader.feed(b"id: 3\ndata: one\n\nid: 4\ndata: tw"))
    reader.begin_again()

    assert list(reader.feed(b"id: 4\ndata: two\n\n")) == [Event("two", "message", "4")]


def test_an_event_of_very_many_lines_is_read_whole() -> None:
    whole = b"data:xx\n" * (1 << 16) + b"\n"

    assert read_data(whole) == b"\n".join([b"xx"] * (1 << 16))
