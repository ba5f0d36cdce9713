import inspect

from aiohttp import ClientRequest, ClientResponse, TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.helpers import TimerNoop
from aiohttp.http import StreamWriter


def parameters(function: object) -> set[str]:
    return set(inspect.signature(function).parameters)  # type: ignore[arg-type]


def test_the_fast_path_relies_on_how_aiohttp_connects_writes_a_head_and_begins_to_read_an_answer() -> None:
    """None of these is promised to others by aiohttp: a release that changes one must not get into the lock unseen."""
    assert {"req", "traces", "timeout"} <= parameters(TCPConnector.connect)
    assert isinstance(inspect.getattr_static(Connection, "protocol"), property)
    assert {"timer", "read_until_eof", "auto_decompress", "read_bufsize"} <= parameters(
        ResponseHandler.set_response_params
    )
    assert {"protocol", "loop"} <= parameters(StreamWriter.__init__)
    assert {"status_line", "headers"} <= parameters(StreamWriter.write_headers)
    assert {"chunk", "drain"} <= parameters(StreamWriter.write)
    assert {
        "writer",
        "continue100",
        "timer",
        "request_info",
        "traces",
        "loop",
        "session",
        "stream_writer",
    } <= parameters(ClientResponse.__init__)
    assert parameters(ClientResponse.start) == {"self", "connection"}
    assert {"method", "url", "session"} <= parameters(ClientRequest.__init__)
    assert parameters(TimerNoop.__init__) <= {"self", "args", "kwargs"}
