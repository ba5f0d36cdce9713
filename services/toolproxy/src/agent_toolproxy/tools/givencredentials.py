"""What a program was given of its Secret, and what is to be done when the Secret is rotated.

A file is written anew under the program. A variable cannot be changed from outside: the program has to be started
again, between calls.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from agent_api.toolsconfig import ToolOptions
from agent_toolproxy.credentials import Credentials
from agent_toolproxy.errors import ToolNotReady, UpstreamRestart
from agent_toolproxy.process.secretfiles import SecretFiles

CHECK_EVERY_S: Final = 2.0
PATIENCE_S: Final = 60.0
"""That a change waits for a moment without calls; then new calls are refused until the running ones have ended."""
_POLL_S: Final = 0.05
_log = logging.getLogger(__name__)


class GivenCredentials:
    """Of one program. Raises ToolNotReady where the Secret lacks a key, or a file cannot be written."""

    def __init__(self, credentials: Credentials, options: ToolOptions, files: SecretFiles | None) -> None:
        self._credentials = credentials
        self._options = options
        self._files = files
        self._values = credentials.environment(options.credential_environment)
        self._write_files()

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables to start the program with."""
        paths = {name: self._files.path(key) for name, key in self._options.credential_files.items() if self._files}
        return {**self._values, **paths}

    def refresh(self) -> bool:
        """Write changed files; whether the program has variables that are not those of the Secret any more. Blocks.

        While a Secret cannot be read the program keeps what it has.
        """
        try:
            self._write_files()
            return self._credentials.environment(self._options.credential_environment) != self._values
        except ToolNotReady as error:
            _log.warning("a Secret cannot be read again", extra={"reason": str(error)})
            return False

    def _write_files(self) -> None:
        if self._files is None:
            return
        keys = self._options.credential_files.values()
        try:
            self._files.write({key: self._credentials.read(key) for key in keys})
        except OSError as error:
            raise ToolNotReady(f"a credential's file cannot be written: {error.strerror}") from error


@contextmanager
def given(credentials: Credentials, options: ToolOptions, home: Path) -> Iterator[GivenCredentials]:
    """What a program with this home is given, for as long as it runs. Raises ToolNotReady."""
    if not options.credential_files:
        yield GivenCredentials(credentials, options, None)
        return
    try:
        files = SecretFiles(home)
    except OSError as error:
        raise ToolNotReady(f"a credential's folder cannot be made: {error.strerror}") from error
    try:
        yield GivenCredentials(credentials, options, files)
    finally:
        files.close()


class Drainable(Protocol):
    """A link, as far as its calls are to end."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is awaited."""

    def drain(self, reason: str) -> None:
        """Refuse what comes from now on."""


async def watch_rotation(
    refresh: Callable[[], bool],
    link: Drainable,
    *,
    longest_call_s: float,
    every_s: float = CHECK_EVERY_S,
    patience_s: float = PATIENCE_S,
) -> None:
    """Return never; raise UpstreamRestart between two calls once the program has to be started again."""
    while not await asyncio.to_thread(refresh):  # noqa: ASYNC110 - a mounted Secret tells nobody of its change
        await asyncio.sleep(every_s)
    reason = "it is started again, since its Secret has changed"
    if not await _becomes_idle(link, patience_s):
        link.drain(f"{reason}: call again in a moment")
        await _becomes_idle(link, longest_call_s)
    link.drain(f"{reason}: call again in a moment")
    raise UpstreamRestart(reason)


async def _becomes_idle(link: Drainable, within_s: float) -> bool:
    for _ in range(max(1, round(within_s / _POLL_S))):
        if link.is_idle:
            return True
        await asyncio.sleep(_POLL_S)
    return link.is_idle
