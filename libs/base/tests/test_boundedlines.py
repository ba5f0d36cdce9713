"""Lines of foreign output: the same however the bytes arrive, and bounded."""

from hypothesis import given
from hypothesis import strategies as st

from agent_base.boundedlines import BoundedLines


@given(st.lists(st.binary(max_size=12)), st.integers(1, 8))
def test_lines_do_not_depend_on_where_the_bytes_are_split(chunks: list[bytes], most_bytes: int) -> None:
    lines = BoundedLines(most_bytes)
    found = [line for chunk in chunks for line in lines.feed(chunk)] + lines.close()
    expected = [line[:most_bytes] for line in b"".join(chunks).split(b"\n")]
    assert found == (expected if expected[-1] else expected[:-1])


def test_a_line_without_end_stays_small() -> None:
    lines = BoundedLines(10)
    assert [lines.feed(b"x" * 100) for _ in range(3)] == [[], [], []]
    assert lines.close() == [b"x" * 10]
    assert lines.close() == []
