"""An order to the gateway of one Pod, and its receipt: both signed, over one HTTP exchange at the Pod's address."""

import asyncio
import logging
from types import TracebackType
from typing import Final, Self

import aiohttp
from pydantic import ValidationError

from agent_api import layout
from agent_api.budget.grants import GRANT_PATH, GrantOrder, GrantReceipt, LastReceipt
from agent_api.signing import NONCE_HEADER, SIGNATURE_HEADER, Signer, new_nonce
from agent_kit.bodies import read_at_most
from agent_operator.objects import PodObject
from agent_operator.status.reports import base_url

RECEIPT_BYTES: Final = 8192
AT_ONCE: Final = 64
_log = logging.getLogger(__name__)


class GrantExchange:
    """Sends orders. Use as an async context manager."""

    def __init__(self, *, timeout_s: float = 2.0) -> None:
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=AT_ONCE, force_close=True)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=self._timeout_s))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def send(self, pod: PodObject, order: GrantOrder, signer: Signer) -> GrantReceipt | None:
        """The receipt, or None when there is none that the gateway has signed for this order."""
        if self._session is None:
            raise RuntimeError("GrantExchange is used outside its context")
        nonce, body = new_nonce(), order.model_dump_json(by_alias=True).encode()
        url = f"{base_url(pod.status.pod_ip, layout.LLMGATEWAY_OPS_PORT)}{GRANT_PATH}"
        headers = {
            NONCE_HEADER: nonce,
            SIGNATURE_HEADER: signer.sign("grant order", nonce, body),
            "Content-Type": "application/json",
        }
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                found = await read_at_most(RECEIPT_BYTES, answer.content.iter_any())
                signature = answer.headers.get(SIGNATURE_HEADER, "")
            if answer.status == 200 and found is not None:
                return _receipt(found, signature, nonce, signer)
            _log.debug("an order was answered with status %s", answer.status)
        except (TimeoutError, aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            _log.debug("an order was not answered: %s", type(error).__name__)
        return None


def _receipt(body: bytes, signature: str, nonce: str, signer: Signer) -> GrantReceipt | None:
    if not signer.is_signed("grant receipt", nonce, body, signature):
        _log.warning("a receipt is not signed with the key of the Pod's gateway", extra={"pod_uid": signer.pod_uid})
        return None
    try:
        return GrantReceipt.model_validate_json(body)
    except ValidationError:
        return None


def last_receipt(message: str, signer: Signer) -> GrantReceipt | None:
    """What a gateway that has ended left in its termination message; None for anything else."""
    try:
        last = LastReceipt.model_validate_json(message)
        if signer.is_signed("last receipt", "", last.receipt.encode(), last.signature):
            return GrantReceipt.model_validate_json(last.receipt)
    except ValidationError:
        return None
    return None
