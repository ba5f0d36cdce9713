"""How one kind is followed, and the two states of following it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """How one kind is followed.

    `page_size`: objects per page of a list, fewer where a page would exceed `page_bytes`. `timeout_s`: range of the
    lifetime that a watch asks the server for. `silence_s`: a stream without a byte for so long is dead.
    `stream_lists`: ask for WatchList first. `optional_retry_s`: the pause before an optional API that is missing is
    asked for again.
    """

    page_size: int = 500
    page_bytes: int = 8 << 20
    timeout_s: tuple[int, int] = (240, 290)
    silence_s: float = 70.0
    stream_lists: bool = False
    optional_retry_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Listing:
    """The whole state has to be read. `paged` is False after a continue token expired, `streamed` is WatchList."""

    paged: bool = True
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Watching:
    """The state is known up to `version`."""

    version: str


State = Listing | Watching
