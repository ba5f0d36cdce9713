import io

import pytest

from agent_base.redaction import Redactor
from agent_initenv.errors import SettingsError
from agent_initenv.progress import Progress
from agent_initenv.sidecars import PROBE_EVERY_S, Sidecar, await_sidecars, parse_sidecar


class HeldClock:
    """Time passes only by sleeping."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds

    def chance(self) -> float:
        return 0.0


TOOLPROXY = Sidecar("toolproxy", "127.0.0.1", 9802, "/readyz")
MEMORY = Sidecar("memory", "127.0.0.1", 6379, None)


def wait(script: dict[str, list[str | None]], *sidecars: Sidecar) -> tuple[list[str], HeldClock]:
    """What was said, and the clock, when each look at a sidecar answers the next of its script."""
    stream, clock = io.StringIO(), HeldClock()
    progress = Progress(stream, Redactor(), colour=False)
    await_sidecars(sidecars, progress, clock, lambda sidecar: script[sidecar.name].pop(0))
    return stream.getvalue().splitlines(), clock


def test_who_is_ready_is_not_waited_for() -> None:
    lines, clock = wait({"toolproxy": [None], "memory": [None]}, TOOLPROXY, MEMORY)
    assert (lines, clock.time_s) == ([], 0)


def test_each_reason_is_said_once() -> None:
    script: dict[str, list[str | None]] = {"toolproxy": ["installing jq", "installing jq", "installing git", None]}
    lines, clock = wait(script, TOOLPROXY)
    assert lines == [
        "initenv await    toolproxy is not ready yet: installing jq",
        "initenv await    toolproxy is not ready yet: installing git",
    ]
    assert clock.time_s == pytest.approx(3 * PROBE_EVERY_S)


def test_a_reason_that_stays_is_said_again_after_half_a_minute() -> None:
    script: dict[str, list[str | None]] = {"memory": [*["no connection: refused"] * 1000, None]}
    lines, clock = wait(script, MEMORY)
    assert clock.time_s == pytest.approx(1000 * PROBE_EVERY_S)
    assert len(lines) == 2


def test_addresses_are_read() -> None:
    assert parse_sidecar("toolproxy=http://127.0.0.1:9802/readyz") == TOOLPROXY
    assert parse_sidecar("memory=tcp://127.0.0.1:6379") == MEMORY


@pytest.mark.parametrize(
    "text", ["toolproxy", "a=ftp://b:1/", "a=http://b:1", "a=tcp://b:1/path", "a=tcp://b", "=tcp://b:1", "a=http://b/x"]
)
def test_what_is_no_address_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(SettingsError, match=f"--await {text}: write NAME=http://HOST:PORT/PATH"):
        parse_sidecar(text)
