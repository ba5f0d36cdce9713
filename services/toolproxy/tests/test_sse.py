import json
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_toolproxy.mcp.sse import Event, EventParser, frame


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20)), max_size=5), st.data())
def test_events_are_read_however_they_are_cut(messages: list[dict[str, str]], data: st.DataObject) -> None:
    stream = b": hello\r\n\r\n" + b"".join(frame(message) for message in messages)
    parser, found, rest = EventParser(), list[Event](), stream
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += parser.feed(rest[:size])
        rest = rest[size:]
    assert [json.loads(event.data) for event in found] == messages


def test_the_whole_grammar_of_events() -> None:
    parser = EventParser()
    stream = b"\xef\xbb\xbfid: 7\rretry: 250\rdata\rdata:x\r\rdata: a\ndata:b\n"
    stream += b"event: other\nignored: 1\n\ndata:\n\ndata: last\n"
    events = list(parser.feed(stream))
    assert [(event.name, event.data) for event in events] == [("message", "\nx"), ("other", "a\nb")]
    assert (parser.last_id, parser.retry_ms) == ("7", 250)
    assert [event.data for event in parser.feed(b"\n")] == ["last"]


def test_an_endless_event_is_an_error() -> None:
    parser = EventParser()
    part = b"data: " + b"x" * (1 << 20) + b"\n"
    with pytest.raises(ValueError, match="too long"):
        list(chain.from_iterable(map(parser.feed, repeat(part, 80))))
