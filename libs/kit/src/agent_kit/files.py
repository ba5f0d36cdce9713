"""Hot reload of what the kubelet mounts.

ConfigMap and Secret volumes are updated by an atomic swap of the `..data` link: the path stays, what it resolves
to changes. So a watch looks at the resolved path every second, which needs no inotify, works on every file
system, and costs a few microseconds. Content decides: a swap that brings the same bytes is no change.

All file work is done on a thread. One look runs at a time, so the thread has the state to itself.
"""

import asyncio
import hashlib
import logging
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Final, Generic, TypeVar, cast

from pydantic import ValidationError

from agent_kit.errors import WatchError

T = TypeVar("T")
Content = TypeVar("Content")
_State = tuple[str, int, int, int, int, int]  # resolved path, device, inode, size, times of change

_log = logging.getLogger(__name__)

_LINK: Final = "..data"  # the link that the kubelet swaps; names that begin with two dots are its own
_SETTLED_NS: Final = 2_000_000_000  # a younger file may change again without a new time stamp: look again
_ATTEMPTS: Final = 3  # at a snapshot that nothing changed under
_PROBLEMS_SHOWN: Final = 3


@dataclass(frozen=True)
class _Fingerprint:
    states: tuple[_State, ...]

    @property
    def settled(self) -> bool:
        """False while a further change could leave the fingerprint as it is."""
        return all(time_ns() - state[-1] > _SETTLED_NS for state in self.states)


@dataclass(frozen=True)
class _Sight(Generic[T]):
    """What a look found: a value with the digest of its content, or the error."""

    fingerprint: _Fingerprint | None
    digest: bytes = b""
    value: T | None = None
    error: WatchError | None = None


class _Watched(ABC, Generic[Content, T]):
    """The last good value of a path, and what is wrong with its newest content."""

    def __init__(
        self,
        path: Path,
        parse: Callable[[Content], T],
        *,
        interval_s: float = 1.0,
        size_limit_bytes: int = 4 << 20,
    ) -> None:
        self.path = path
        self._parse = parse
        self._interval_s = interval_s
        self._size_limit_bytes = size_limit_bytes
        self._last: _Sight[T] = _Sight(None)
        self._good: _Sight[T] = _Sight(None)
        self._revision = 0
        self._forced_reads = 0
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def value(self) -> T | None:
        """The last good value; None until there has been one."""
        return self._good.value

    @property
    def error(self) -> WatchError | None:
        """Why the newest content is not `value`. None when it is, and before the first look."""
        return self._last.error

    def check(self) -> str | None:
        """A health check: fails for as long as there is no value at all."""
        if self._revision:
            return None
        return str(self.error) if self.error else f"{self.path} has not been read yet"

    async def run(self) -> None:
        """Look for ever, once every interval. Bad or missing content never ends it."""
        while True:
            async with self._lock:
                self._note(await asyncio.to_thread(self._look))
            await asyncio.sleep(self._interval_s)

    async def refresh(self) -> bool:
        """Read now, whatever the time stamps say; True when that brought another value.

        Callers share a read that began after they asked: a burst of refused requests is not a burst of reads.
        """
        before, enough = self._revision, self._forced_reads + 1
        async with self._lock:
            if self._forced_reads < enough:
                self._forced_reads += 1
                self._last = _Sight(None, error=self._last.error)
                self._note(await asyncio.to_thread(self._look))
        return self._revision != before

    async def first(self) -> T:
        """The value, as soon as there is one; something else has to `run` or `refresh` meanwhile."""
        while not self._revision:
            await self._changed.wait()
        return cast("T", self._good.value)

    async def changes(self) -> AsyncIterator[T]:
        """The value, then each newer one. A slow reader gets the newest and misses those between."""
        seen = 0
        while True:
            while seen == self._revision:
                await self._changed.wait()
            seen = self._revision
            yield cast("T", self._good.value)

    def _note(self, sight: _Sight[T] | None) -> None:
        """Take over what a look found; None is nothing new."""
        if sight is None:
            return
        told, self._last = str(self._last.error), sight
        if sight.error is not None:
            if str(sight.error) != told:
                _log.warning("%s%s", sight.error, "; the last good content stays in use" if self._revision else "")
            return
        if self._revision and sight.digest == self._good.digest:
            return
        self._good = sight
        self._revision += 1
        _log.info("%s is %s use", self.path, "in" if self._revision == 1 else "changed, and now in")
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _look(self) -> _Sight[T] | None:
        try:
            if self._last.fingerprint is not None and self._last.fingerprint == self._take_fingerprint():
                return None
            fingerprint, content = self._snapshot()
        except WatchError as error:
            return _Sight(None, error=error)
        except FileNotFoundError:
            return _Sight(None, error=WatchError(f"{self.path} does not exist"))
        except OSError as error:
            return _Sight(None, error=WatchError(f"{self.path} cannot be read: {error.strerror}"))
        return self._judge(fingerprint if fingerprint.settled else None, content)

    def _snapshot(self) -> tuple[_Fingerprint, Content]:
        """The content at one moment: looked at again when it changed under the reader."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                before = self._take_fingerprint()
                content = self._read(before)
                if self._take_fingerprint() == before:
                    return before, content
            except FileNotFoundError:
                if attempt == _ATTEMPTS:
                    raise
        raise WatchError(f"{self.path} changes faster than it can be read")

    def _judge(self, fingerprint: _Fingerprint | None, content: Content) -> _Sight[T]:
        digest = self._digest(content)
        if self._revision and digest == self._good.digest:
            return _Sight(fingerprint, digest, self._good.value)
        try:
            return _Sight(fingerprint, digest, self._parse(content))
        except Exception as error:  # noqa: BLE001 - whatever bad content does to a parser, the watch goes on
            return _Sight(fingerprint, error=WatchError(f"{self.path} is not valid: {_explain(error)}"))

    @abstractmethod
    def _take_fingerprint(self) -> _Fingerprint: ...

    @abstractmethod
    def _read(self, fingerprint: _Fingerprint) -> Content: ...

    @abstractmethod
    def _digest(self, content: Content) -> bytes: ...

    def _read_within_limit(self, states: tuple[_State, ...]) -> list[bytes]:
        left = self._size_limit_bytes
        contents = []
        for path, *_ in states:
            with open(path, "rb") as file:  # noqa: PTH123 - a resolved string, not a Path
                contents.append(file.read(left + 1))
            left -= len(contents[-1])
            if left < 0:
                raise WatchError(f"{self.path} is larger than {self._size_limit_bytes} bytes")
        return contents


class WatchedFile(_Watched[bytes, T]):
    """A file. `parse` gets its bytes, on a thread; it is pure and raises ValueError for bad content."""

    def _take_fingerprint(self) -> _Fingerprint:
        state = _state_of(str(self.path))
        if state is None:
            raise WatchError(f"{self.path} is not a file")
        return _Fingerprint((state,))

    def _read(self, fingerprint: _Fingerprint) -> bytes:
        return self._read_within_limit(fingerprint.states)[0]

    def _digest(self, content: bytes) -> bytes:
        return hashlib.sha256(content).digest()


class WatchedFolder(_Watched[Mapping[str, bytes], T]):
    """A ConfigMap or Secret volume, or any flat folder.

    `parse` gets the bytes of every file by name, all of one moment; folders inside and names that begin with two
    dots are left out. It is called on a thread, is pure and raises ValueError for bad content.
    """

    def _take_fingerprint(self) -> _Fingerprint:
        root = os.path.realpath(self.path / _LINK)
        if not os.path.isdir(root):  # noqa: PTH112 - a resolved string, not a Path
            root = os.path.realpath(self.path)
        names = sorted(name for name in os.listdir(root) if not name.startswith(".."))  # noqa: PTH208 - likewise
        states = (_state_of(os.path.join(root, name), resolve=False) for name in names)  # noqa: PTH118 - likewise
        return _Fingerprint(tuple(state for state in states if state is not None))

    def _read(self, fingerprint: _Fingerprint) -> Mapping[str, bytes]:
        names = [os.path.basename(state[0]) for state in fingerprint.states]  # noqa: PTH119 - a string, not a Path
        return dict(zip(names, self._read_within_limit(fingerprint.states), strict=True))

    def _digest(self, content: Mapping[str, bytes]) -> bytes:
        each = (
            hashlib.sha256(os.fsencode(name)).digest() + hashlib.sha256(data).digest() for name, data in content.items()
        )
        return hashlib.sha256(b"".join(each)).digest()


def _state_of(path: str, *, resolve: bool = True) -> _State | None:
    """The state of a regular file, or None for anything else (opening a pipe could block for ever)."""
    real = os.path.realpath(path) if resolve else path
    seen = os.stat(real)  # noqa: PTH116 - a string, not a Path
    if not stat.S_ISREG(seen.st_mode):
        return None
    return real, seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def _explain(error: Exception) -> str:
    """The reason without the content: it may be a secret's."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_input=False, include_context=False)
        shown = [f"{'.'.join(map(str, each['loc'])) or 'content'}: {each['msg']}" for each in found[:_PROBLEMS_SHOWN]]
        more = len(found) - len(shown)
        return "; ".join(shown) + (f"; and {more} more" if more else "")
    return str(error) if isinstance(error, ValueError) else type(error).__name__
