"""A service to end in every way there is: `kit_program.py LOOP WAY`, started as a process by the tests."""

import asyncio
import logging
import sys
import time
from contextlib import suppress

if sys.argv[1:2] == ["asyncio"]:
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # makes its import fail

from agent_base.redaction import Redactor
from agent_kit.errors import KitError, SettingsError
from agent_kit.logs import LogLevel, LogSettings
from agent_kit.service import Stop, run

CANARY = "c4nary-value"
log = logging.getLogger("program")


async def tidy(stop: Stop) -> int:
    try:
        await stop.wait()
    finally:
        log.info("tidied up", extra={"reason": stop.reason, "check": stop.check()})
    return 7


async def slow(stop: Stop) -> None:
    await asyncio.Event().wait()


async def deaf(stop: Stop) -> None:
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


async def deaf_task(stop: Stop) -> None:
    stop.tasks.create_task(deaf(stop))
    await stop.wait()


async def thread(stop: Stop) -> None:
    stop.tasks.create_task(asyncio.to_thread(time.sleep, 60))
    await stop.wait()


async def crash(stop: Stop) -> None:
    await asyncio.sleep(0.01)
    raise ValueError(f"bad {CANARY}")


async def crash_task(stop: Stop) -> None:
    stop.tasks.create_task(crash(stop))
    try:
        await asyncio.Event().wait()
    finally:
        log.info("tidied up")


async def crash_while_stopping(stop: Stop) -> None:
    await stop.wait()
    raise RuntimeError("too late")


async def known_error(stop: Stop) -> None:
    raise KitError("the port is taken; set another")


async def bad_settings(stop: Stop) -> None:
    raise SettingsError(["A='x' is wrong", "B='y' is wrong"])


async def own_request(stop: Stop) -> int:
    stop.request("nothing left to do")
    stop.request("a second reason")
    await stop.wait()
    return 3


async def cancel_itself(stop: Stop) -> None:
    raise asyncio.CancelledError


async def finish(stop: Stop) -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.info("tidied up")

    stop.tasks.create_task(work())
    await asyncio.sleep(0.01)


async def faults_of_the_loop(stop: Stop) -> None:
    closed = RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")
    for message in ("Fatal error on SSL protocol\nprotocol: <SSLProtocol>", "Exception in callback"):
        asyncio.get_running_loop().call_exception_handler({"message": message, "exception": closed})


WAYS = {
    way.__name__: way
    for way in (
        tidy,
        slow,
        deaf,
        deaf_task,
        thread,
        crash,
        crash_task,
        crash_while_stopping,
        known_error,
        bad_settings,
        own_request,
        cancel_itself,
        finish,
        faults_of_the_loop,
    )
}


async def ready(stop: Stop) -> int | None:
    log.info("ready", extra={"loop": type(asyncio.get_running_loop()).__module__})
    return await WAYS[sys.argv[2]](stop)


if __name__ == "__main__":
    redactor = Redactor()
    redactor.add(CANARY)
    level: LogLevel = "debug" if "debug" in sys.argv else "info"
    grace_s = 60.0 if "patient" in sys.argv else 0.2
    log_settings = LogSettings(level, "json")
    sys.exit(run(ready, name="program", grace_s=grace_s, cleanup_s=0.5, log=log_settings, redactor=redactor))
