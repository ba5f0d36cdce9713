import json

from hypothesis import given
from hypothesis import strategies as st

from agent_kit.sse import Event, EventReader
from agent_toolproxy.mcp.eventframes import frame


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20)), max_size=5), st.data())
def test_frames_are_read_however_they_are_cut(messages: list[dict[str, str]], data: st.DataObject) -> None:
    stream = b": hello\r\n\r\n" + b"".join(frame(message) for message in messages)
    reader, found, rest = EventReader(1 << 20), list[Event](), stream
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += reader.feed(rest[:size])
        rest = rest[size:]
    assert [json.loads(event.data) for event in found] == messages
