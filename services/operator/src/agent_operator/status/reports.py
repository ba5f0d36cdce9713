"""What the sidecars say of themselves at /report, read over HTTP from the Pod's own address.

A report is believed only when it is signed with the sidecar's key, for this Pod and this very question: the agent may
answer at the port of a sidecar that has ended. It is fetched when the Pod's readiness has changed, and again after a
pause that grows with the number of reports (`ReportReader.pace_s`), never in a tight loop: the answer in between is the
one remembered.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from agent_api.signing import NONCE_HEADER, SIGNATURE_HEADER, Signer, new_nonce
from agent_kit.bodies import read_at_most
from agent_operator.objects import ContainerStatus, PodObject

R = TypeVar("R", bound=BaseModel)

REPORT_BYTES: Final = 1 << 19
"""About 1,600 pinned tools of MCP servers without their texts."""
UNSIGNED: Final = "the answer at the port of {sidecar} is not signed with the Pod's key"
FRESH_S: Final = 10.0
"""Age of a report at which it is read again, as long as that is no more than `READS_PER_S`."""
READS_PER_S: Final = 20.0
REMEMBERED: Final = 20_000
REMEMBERED_BYTES: Final = 32 << 20
"""Of all reports, as they came: parsed they take a few times as much."""


@dataclass(frozen=True)
class Answer(Generic[R]):
    """A sidecar's report, or why there is none."""

    report: R | None = None
    error: str = ""
    unsigned: bool = False
    """There was an answer, and not from the sidecar of this Pod."""
    too_large: bool = False
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

    @property
    def pace_s(self) -> float:
        """Pause between two reads of one report: short while there are few, `refresh_s` at most."""
        return min(self.refresh_s, max(FRESH_S, len(self._known) / READS_PER_S))

    async def read(
        self,
        pod: PodObject,
        port: int,
        model: type[R],
        *,
        signer: Signer,
        ready: bool,
        max_age_s: float | None = None,
    ) -> Answer[R]:
        """The report of the sidecar with ops port `port`; `ready` is the sidecar's readiness as the kubelet has it.

        `max_age_s`: how old a remembered one may be; None leaves that to the reader.
        """
        if not pod.status.pod_ip:
            return Answer(error="the Pod has no address yet")
        key = (pod.metadata.uid, port)
        known = self._known.get(key)
        limit_s = self._age_limit_s(ready=ready) if max_age_s is None else max_age_s
        fresh = known is not None and known.ready == ready and self._clock() - known.at < limit_s
        if known is None or not fresh:
            answer = await self._fetch(pod.status.pod_ip, port, model, signer)
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
        return self.pace_s if ready else min(self.refresh_s, FRESH_S)

    async def _fetch(self, address: str, port: int, model: type[R], signer: Signer) -> Answer[R]:
        if self._session is None:
            raise RuntimeError("ReportReader is used outside its context")
        nonce, url = new_nonce(), f"{base_url(address, port)}/report"
        try:
            async with self._session.get(url, headers={NONCE_HEADER: nonce}, allow_redirects=False) as answer:
                if answer.status != 200:
                    return Answer(error=f"the report is refused with status {answer.status}")
                body = await read_at_most(REPORT_BYTES, answer.content.iter_any())
                signature = answer.headers.get(SIGNATURE_HEADER, "")
            if body is None:
                return Answer(error=f"the report is larger than {REPORT_BYTES >> 10} KiB", too_large=True)
            if not signer.is_signed("report", nonce, body, signature):
                return Answer(error=UNSIGNED.format(sidecar=signer.sidecar), unsigned=True)
            return Answer(model.model_validate_json(body), size_bytes=len(body))
        except ValidationError:
            return Answer(error="the report cannot be understood")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return Answer(error=f"the report cannot be read ({type(error).__name__})")


def running_sidecar(pod: PodObject, container: str) -> ContainerStatus | None:
    """The status of one sidecar, when it runs: nobody answers before that, or after it."""
    found = next((each for each in pod.status.init_container_statuses if each.name == container), None)
    return found if found and found.state.waiting is None and found.state.terminated is None else None


def base_url(address: str, port: int) -> str:
    """Of a Pod's address, which may be of IPv6."""
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
