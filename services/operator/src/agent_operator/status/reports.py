"""What the sidecars say of themselves at /report, read over HTTP from the Pod's own address.

A report is fetched when the Pod's readiness has changed and every `refresh_s` after that, never in a tight loop: the
answer in between is the one remembered.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from agent_kit.bodies import read_at_most
from agent_operator.sources import PodObject

R = TypeVar("R", bound=BaseModel)

REPORT_BYTES: Final = 1 << 18
REMEMBERED: Final = 20_000
REMEMBERED_BYTES: Final = 32 << 20
"""Of all reports, as they came: parsed they take a few times as much."""


@dataclass(frozen=True)
class Answer(Generic[R]):
    """A sidecar's report, or why there is none."""

    report: R | None = None
    error: str = ""
    size_bytes: int = field(default=0, compare=False)


@dataclass(frozen=True)
class _Remembered:
    ready: bool
    at: float
    answer: Answer[BaseModel]


class ReportReader:
    """Reads reports of Pods. Use as an async context manager."""

    def __init__(
        self, *, timeout_s: float = 2.0, refresh_s: float = 300.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._timeout_s = timeout_s
        self.refresh_s = refresh_s
        self._clock = clock
        self._known: OrderedDict[tuple[str, int], _Remembered] = OrderedDict()
        self._known_bytes = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=64, force_close=True)  # Pods come and go: no connection is kept
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def read(self, pod: PodObject, port: int, model: type[R], *, ready: bool) -> Answer[R]:
        """The report of the sidecar with ops port `port`; `ready` is the sidecar's readiness as the kubelet has it."""
        if not pod.status.pod_ip:
            return Answer(error="the Pod has no address yet")
        key = (pod.metadata.uid, port)
        known = self._known.get(key)
        fresh = known is not None and known.ready == ready and self._clock() - known.at < self._age_limit_s(ready=ready)
        if known is None or not fresh:
            answer = await self._fetch(pod.status.pod_ip, port, model)
            known = _Remembered(ready, self._clock(), answer)  # type: ignore[arg-type]
            self._remember(key, known)
        return known.answer  # type: ignore[return-value]

    def _remember(self, key: tuple[str, int], known: _Remembered) -> None:
        before = self._known.pop(key, None)
        self._known[key] = known
        self._known_bytes += known.answer.size_bytes - (before.answer.size_bytes if before else 0)
        while len(self._known) > REMEMBERED or self._known_bytes > REMEMBERED_BYTES:
            _, oldest = self._known.popitem(last=False)
            self._known_bytes -= oldest.answer.size_bytes

    def _age_limit_s(self, *, ready: bool) -> float:
        """What is not ready yet is looked at again sooner: an error there is what the user waits for."""
        return self.refresh_s if ready else min(self.refresh_s, 10.0)

    async def _fetch(self, address: str, port: int, model: type[R]) -> Answer[R]:
        if self._session is None:
            raise RuntimeError("ReportReader is used outside its context")
        host = f"[{address}]" if ":" in address else address
        try:
            async with self._session.get(f"http://{host}:{port}/report", allow_redirects=False) as answer:
                if answer.status != 200:
                    return Answer(error=f"the report is refused with status {answer.status}")
                body = await read_at_most(REPORT_BYTES, answer.content.iter_any())
            if body is None:
                return Answer(error=f"the report is larger than {REPORT_BYTES >> 10} KiB")
            return Answer(model.model_validate_json(body), size_bytes=len(body))
        except ValidationError:
            return Answer(error="the report cannot be understood")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return Answer(error=f"the report cannot be read ({type(error).__name__})")
