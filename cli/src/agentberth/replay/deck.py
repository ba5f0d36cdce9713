"""What stands between the agent and the sidecars during a recorded or replayed run: one loopback address for each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import aiohttp
from aiohttp import web
from yarl import URL

from agent_api import layout
from agent_api.cassette import MOST_BODY_BYTES, Side
from agent_base.redaction import Redactor
from agentberth.errors import CommandError
from agentberth.local.objects import Objects
from agentberth.local.ports import Ports
from agentberth.replay.answering import Replayer
from agentberth.replay.canonical import Canonical
from agentberth.replay.cassettefile import read_cassette, write_cassette
from agentberth.replay.masking import Masking
from agentberth.replay.matching import Player
from agentberth.replay.recorder import Recorder

SIDES: Final[Mapping[Side, int]] = {"models": layout.LLMGATEWAY_PORT, "tools": layout.TOOLPROXY_PORT}
CONTAINERS: Final[Mapping[Side, str]] = {"models": layout.LLMGATEWAY, "tools": layout.TOOLPROXY}
_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True)
class Tape:
    """What the command line says: the cassette's file, what to do with it, and the sides that stay real in a replay."""

    file: Path
    mode: Literal["record", "replay"]
    live: frozenset[Side] = frozenset()
    timing: bool = False

    def plays(self, side: Side) -> bool:
        """Whether `side` is answered from the cassette, so that its sidecar is not needed."""
        return self.mode == "replay" and side not in self.live

    def serves(self, side: Side) -> bool:
        """Whether something stands before the sidecar of `side`, or in its place."""
        return self.mode == "record" or self.plays(side)

    @property
    def left_out_containers(self) -> frozenset[str]:
        """Containers that are not started."""
        return frozenset(CONTAINERS[side] for side in SIDES if self.plays(side))


@dataclass
class Deck:
    """The tape at work. `ports` is where the agent finds each side; `sidecars` where the sidecars listen.

    `player` is there in a replay, `recorder` while a recording runs and after it.
    """

    tape: Tape
    agent: str
    folder: Path
    sidecars: Ports
    ports: Ports
    redactor: Redactor
    player: Player | None
    recorder: Recorder | None = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(cls, tape: Tape, agent: str, folder: Path, sidecars: Ports, objects: Objects) -> "Deck":
        """Reads the cassette of a replay, and finds free ports. Raises CommandError."""
        redactor = Redactor()
        for (kind, _), data in objects.data.items():
            for value in data.values() if kind == "Secret" else ():
                redactor.add(value)
        player = _player(tape, agent, folder) if tape.mode == "replay" else None
        ports = sidecars.beside(port for side, port in SIDES.items() if tape.serves(side))
        return cls(tape, agent, folder, sidecars, ports, redactor, player)

    @asynccontextmanager
    async def running(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Serves the agent; a miss sets `stop`. At the end a recording is written, however the run ended."""
        self._stop = stop
        masking = Masking(self.redactor, self.folder)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._write)  # the last to be called: every handler has ended by then
            timeout = aiohttp.ClientTimeout(total=None)
            session = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False, timeout=timeout))
            self.recorder = Recorder(session, masking) if self.tape.mode == "record" else None
            for side in SIDES:
                if self.tape.serves(side):
                    await stack.enter_async_context(_served(self._handler(side, masking), self.ports.of(SIDES[side])))
            yield

    async def _write(self) -> None:
        if self.recorder is not None:
            await asyncio.to_thread(write_cassette, self.tape.file, self.agent, self.recorder.recordings)

    def _handler(self, side: Side, masking: Masking) -> Callable[[web.Request], object]:
        if self.player is not None:
            replayer = Replayer(self.player, masking, lambda _: self._stop.set(), timing=self.tape.timing)
            return lambda request: replayer.answer(_without_token(request)[0], side)
        recorder, base = self.recorder, f"http://127.0.0.1:{self.sidecars.of(SIDES[side])}"
        assert recorder is not None  # noqa: S101 - a tape records or replays

        def relay(request: web.Request) -> Awaitable[web.StreamResponse]:
            plain, door = _without_token(request)
            return recorder.relay(plain, side, base + door)

        return relay


def _without_token(request: web.Request) -> tuple[web.Request, str]:
    """`request` with a path that is the same in every run, and what was taken out of it: the token of this one."""
    door, path = layout.split_door(request.raw_path)
    return (request.clone(rel_url=URL(path or "/", encoded=True)), door) if door else (request, "")


def _player(tape: Tape, agent: str, folder: Path) -> Player:
    cassette = read_cassette(tape.file)
    if cassette.agent != agent:
        raise CommandError(
            f"{tape.file}: was recorded for the agent {cassette.agent}, not for {agent}",
            cure="give the agent's own cassette; after a change of name, correct the cassette's first line",
        )
    return Player([each for each in cassette.recordings if tape.plays(each.side)], Canonical(folder))


@asynccontextmanager
async def _served(handle: Callable[[web.Request], object], port: int) -> AsyncIterator[None]:
    @web.middleware
    async def local_only(request: web.Request, handler: Callable[..., object]) -> web.StreamResponse:
        """No page of a browser gets in: as the sidecars, by Host and Origin."""
        if "Origin" in request.headers or request.host.rpartition(":")[0] not in _HOSTS:
            return web.json_response({"error": {"message": "this Host or Origin is not served here"}}, status=403)
        return await handler(request)  # type: ignore[misc, no-any-return] # aiohttp's handlers are of any type

    app = web.Application(client_max_size=MOST_BODY_BYTES, middlewares=[local_only])
    app.router.add_route("*", "/{path:.*}", handle)  # type: ignore[arg-type] # likewise
    runner = web.AppRunner(app, handle_signals=False, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    except OSError as error:
        raise CommandError(f"the recorder cannot listen on port {port}: {error.strerror}") from error
    finally:
        await runner.cleanup()
