"""The frame of a long-running process: one entry, one TaskGroup, one way out.

A service is a coroutine that returns when it is told to stop. Everything else that can end a process is handled
here once: signals, a grace period that is kept, a crashed task, settings that are not usable, a thread or task
that will not end. What a person sees is one line and an exit code; the traceback is in a record at level debug.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from agent_base.redaction import Redactor
from agent_kit.errors import KitError, SettingsError
from agent_kit.logs import LogSettings, configure
from agent_kit.settings import ServiceSettings, help_text, load

EXIT_CRASH: Final = 1
EXIT_SETTINGS: Final = 2
EXIT_SIGNAL: Final = 128  # plus the signal's number

S = TypeVar("S", bound=ServiceSettings)
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Stop:
    """The request to stop, and the TaskGroup whose tasks end with the service."""

    tasks: asyncio.TaskGroup
    """A task that fails here ends the service; those still running when `main` returns are cancelled."""
    reason: str = ""
    _event: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def requested(self) -> bool:
        """Whether the service is to stop."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return when the service is to stop."""
        await self._event.wait()

    def request(self, reason: str) -> None:
        """Ask the service to stop, as a signal would. The first reason stands."""
        if not self.requested:
            self.reason = reason
            _log.info("stopping: %s", reason)
            self._event.set()

    def check(self) -> str | None:
        """A readiness check: fails once the service is stopping, so that no new work is sent to it."""
        return f"stopping: {self.reason}" if self.requested else None


Main = Callable[[Stop], Awaitable[int | None]]


def launch(
    main: Callable[[S, Stop], Awaitable[int | None]],
    settings_type: type[S],
    *,
    name: str,
    redactor: Redactor | None = None,
    argv: Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Load settings, then `run` `main(settings, stop)`; the exit code. `--help` prints the settings and is 0."""
    arguments = sys.argv[1:] if argv is None else argv
    variables = os.environ if environ is None else environ
    if not {"-h", "--help"}.isdisjoint(arguments):
        sys.stdout.write(help_text(settings_type, name))
        return 0
    try:
        settings = load(settings_type, arguments, variables)
    except SettingsError as error:
        sys.stderr.writelines(f"{name}: {problem}\n" for problem in error.problems)
        return EXIT_SETTINGS
    return run(
        partial(main, settings),
        name=name,
        grace_s=settings.grace_s,
        cleanup_s=settings.cleanup_s,
        log=LogSettings(settings.log_level, settings.log_format, _log_identity(name, variables)),
        redactor=redactor,
    )


def _log_identity(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What program this is, and of which agent, when it belongs to one."""
    found = {"component": name, "agent": environ.get("AGENT_NAME"), "namespace": environ.get("AGENT_NAMESPACE")}
    return {field: value for field, value in found.items() if value}


def run(
    main: Main,
    *,
    name: str,
    grace_s: float = 25.0,
    cleanup_s: float = 3.0,
    log: LogSettings | None = None,
    redactor: Redactor | None = None,
) -> int:
    """Run `main` until it returns; the process's exit code.

    Call it from the main thread. SIGTERM and SIGINT set `stop`; `main` then has `grace_s` to return before it is
    cancelled, and everything has `cleanup_s` more before the process ends itself. A second signal ends it at once.

    The code is what `main` returned (None is 0); 1 for a crashed task or a grace period that passed; 2 for a
    SettingsError; 128 + n for a second signal n.
    """
    configure(log or LogSettings(), redactor or Redactor())
    hard_exit = _HardExitTimer(name)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_supervise(main, _Limits(name, grace_s, cleanup_s), hard_exit))
    except BaseExceptionGroup as group:
        return _explain(name, group)
    finally:
        hard_exit.disarm()


@dataclass(frozen=True)
class _Limits:
    name: str
    grace_s: float
    cleanup_s: float


class _Finished(Exception):  # noqa: N818 - how a TaskGroup is told that its work is done
    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


class _HardExitTimer:
    """Ends the process when a task or a thread does not. From a thread: the event loop may be what hangs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._timer: threading.Timer | None = None

    def arm(self, after_s: float) -> None:
        self.disarm()
        self._timer = threading.Timer(after_s, self._exit)
        self._timer.daemon = True
        self._timer.start()

    def disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _exit(self) -> None:
        _log.error("%s did not end: something ignores its cancellation; ending the process", self._name)
        os._exit(EXIT_CRASH)


async def _supervise(main: Main, limits: _Limits, hard_exit: _HardExitTimer) -> int:
    code = EXIT_CRASH
    asyncio.get_running_loop().set_exception_handler(_tell)
    try:
        async with asyncio.TaskGroup() as tasks:
            stop = Stop(tasks)
            _catch_signals(stop, partial(hard_exit.arm, limits.grace_s + limits.cleanup_s))
            try:
                code = await _await_main(tasks.create_task(_as_coroutine(main(stop)), name="main"), stop, limits)
            finally:
                hard_exit.arm(limits.cleanup_s)
            raise _Finished(code)  # noqa: TRY301 - a TaskGroup is ended by an exception
    except* _Finished as finished:
        code = next(each.code for each in _leaves(finished) if isinstance(each, _Finished))
    return code


async def _as_coroutine(work: Awaitable[int | None]) -> int | None:
    return await work


async def _await_main(main: asyncio.Task[int | None], stop: Stop, limits: _Limits) -> int:
    """The exit code: that of `main`, or 1 when it was cut off."""
    stopping = stop.tasks.create_task(stop.wait(), name="stop")
    await asyncio.wait({main, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not main.done():
        await asyncio.wait({main}, timeout=limits.grace_s)
    if not main.done():
        _log.error("%s did not stop within %g s: cutting off what still runs", limits.name, limits.grace_s)
        main.cancel()
        await asyncio.wait({main})
        return EXIT_CRASH
    if main.cancelled():
        _log.error("%s stopped: its main task was cancelled from inside", limits.name)
        return EXIT_CRASH
    if main.exception() is not None:
        return EXIT_CRASH  # the TaskGroup has the exception
    return main.result() or 0


def _catch_signals(stop: Stop, on_first: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def receive(number: signal.Signals) -> None:
        if received:
            os._exit(EXIT_SIGNAL + number)
        received.append(number)
        on_first()
        stop.request(number.name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, receive, number)


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the loop says itself, but not as an error that a peer ended a TLS connection first: uvloop's fault 506."""
    error = context.get("exception")
    if context["message"].startswith("Fatal error on SSL protocol") and "the handler is closed" in str(error):
        _log.debug("a connection had ended already: %s", error)
    else:
        loop.default_exception_handler(context)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - an optional extra
    except ImportError:
        return None
    return new_event_loop


def _explain(name: str, group: BaseExceptionGroup[BaseException]) -> int:
    """Log one line for each failed task; the exit code."""
    code = EXIT_SETTINGS
    for error in _leaves(group):
        if isinstance(error, SettingsError):
            for problem in error.problems:
                _log.error("%s cannot start: %s", name, problem)
        else:
            code = EXIT_CRASH
            reason = str(error) if isinstance(error, KitError) else f"{type(error).__name__}: {error}"
            _log.error("%s stopped by an error: %s", name, reason)
        _log.debug("where it happened", exc_info=error)
    return code


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
