"""A provider's keys: the files of its folder that are called `api-key...`, or as its `config.keys` says.

A Secret may hold more than keys, such as a CA or the name of an organisation: those are left alone. Keys are read again
when the folder changes, and when one is refused.
"""

import hashlib
import logging
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from agent_kit.files import WatchedFolder

MARK_CHARACTERS = 12
_log = logging.getLogger(__name__)


class Key(NamedTuple):
    """`name` is the file's, `mark` tells one value from the next without showing it. No value = no key is needed."""

    name: str
    value: str | None
    mark: str

    def __repr__(self) -> str:
        return f"Key({self.name!r})"


NO_KEY = Key("", None, "")


PREFIX: Final = "api-key"


def read_keys(
    register: Callable[[str], None], names: Collection[str], files: Mapping[str, bytes]
) -> tuple[Key, ...]:  # fmt: skip
    """The keys among `files`, in the order of their names, or of `names`.

    One that is no key takes no other one away. Raises ValueError that names the file when there is none but such.
    """
    keys, unfit = [], ""
    for name in names or sorted(files):
        if name not in files or not (names or name.startswith(PREFIX)):
            continue
        value = files[name].decode("utf-8-sig", "replace").strip()
        if not value.isascii() or not value.isprintable() or " " in value:
            unfit = unfit or name
            _log.warning("%s is not a key and is left alone: it must be one word of ASCII characters", name)
        elif value:
            register(value)
            keys.append(Key(name, value, hashlib.sha256(value.encode()).hexdigest()[:MARK_CHARACTERS]))
    if unfit and not keys:
        raise ValueError(f"{unfit} is not a key: it must be one word of ASCII characters")
    return tuple(keys)


class KeyPool:
    """The keys of one provider, taken in turn."""

    def __init__(self, folder: WatchedFolder[tuple[Key, ...]] | None, *, needs_key: bool) -> None:
        self._folder = folder
        self._needs_key = needs_key
        self._turn = 0

    @property
    def keys(self) -> tuple[Key, ...]:
        """Keys now; `NO_KEY` alone for a provider that needs none."""
        if self._folder is None:
            return () if self._needs_key else (NO_KEY,)
        return self._folder.value or ()

    @property
    def mounted(self) -> int:
        """Keys that are there."""
        return len(self._folder.value or ()) if self._folder else 0

    def in_turn(self) -> tuple[Key, ...]:
        """Keys now, each time from another one on."""
        keys = self.keys
        if len(keys) < 2:
            return keys
        self._turn = (self._turn + 1) % len(keys)
        return keys[self._turn :] + keys[: self._turn]

    async def refresh(self) -> None:
        """Read the folder again, now."""
        if self._folder is not None:
            await self._folder.refresh()

    async def run(self) -> None:
        """Watch the folder for ever."""
        if self._folder is not None:
            await self._folder.run()


def open_pool(
    path: str | None,
    *,
    needs_key: bool,
    register: Callable[[str], None],
    interval_s: float,
    names: Collection[str] = (),
) -> KeyPool:
    """The pool of a folder, or of a provider without one. `names` are the files that are keys, when it says so."""
    if path is None:
        return KeyPool(None, needs_key=needs_key)
    folder = WatchedFolder(Path(path), partial(read_keys, register, names), interval_s=interval_s)
    return KeyPool(folder, needs_key=needs_key)
