import asyncio
from collections.abc import AsyncIterator

import hypothesis.strategies as st
import pytest
from hypothesis import given
from libs.kube.tests.kinds import WIDGETS

from agent_kube import (
    Resource,
    Retryable,
    Terminal,
)
from agent_kube.client.lines import split_lines
from agent_kube.errors import LineTooLong, first_error


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
