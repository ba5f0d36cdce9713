"""Tells the list of tools that it is out of date, and those who need the new list when it is there."""

import asyncio


class Changes:
    """Between the tools, which change, and the toolbox, which lists them."""

    def __init__(self) -> None:
        self._dirty = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()

    def mark(self) -> None:
        """A tool changed: the list has to be made again."""
        self._settled.clear()
        self._dirty.set()

    async def take(self) -> None:
        """Return when there is something to list again; changes from now on are new ones."""
        await self._dirty.wait()
        self._dirty.clear()

    def settle(self) -> None:
        """The list is of the present, unless something has changed since `take`."""
        if not self._dirty.is_set():
            self._settled.set()

    @property
    def settled(self) -> bool:
        """Whether the list is of the present."""
        return self._settled.is_set()

    async def wait_settled(self) -> None:
        """Return when the list is of the present: no caller is given what is not in it any more."""
        await self._settled.wait()
