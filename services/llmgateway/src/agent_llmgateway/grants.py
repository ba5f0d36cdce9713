"""The operator's orders, taken at the ops port: signed both ways, so that nobody else can order, or answer for us."""

import asyncio
import logging
from pathlib import Path
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from agent_api.budget.grants import GRANT_PATH, GrantOrder, LastReceipt
from agent_api.layout import TERMINATION_LOG_BYTES
from agent_api.signing import NONCE, NONCE_HEADER, SIGNATURE_HEADER, Signer
from agent_llmgateway.budget.budget import Budget

ORDER_BYTES: Final = 8192
_log = logging.getLogger(__name__)


class GrantDesk:
    """Takes orders for one gateway. Without a key it takes none."""

    def __init__(self, budget: Budget, signer: Signer | None) -> None:
        self._budget = budget
        self.signer = signer

    def routes(self) -> list[web.RouteDef]:
        """For the ops server."""
        return [web.post(GRANT_PATH, self._answer)] if self.signer else []

    async def _answer(self, request: web.Request) -> web.Response:
        signer, nonce = self.signer, request.headers.get(NONCE_HEADER, "")
        if signer is None or not NONCE.fullmatch(nonce):
            return web.Response(status=403, text="an order has a nonce and a signature\n")
        if (request.content_length or ORDER_BYTES + 1) > ORDER_BYTES:
            return web.Response(status=413, text=f"an order has at most {ORDER_BYTES} bytes\n")
        body = await request.read()
        if not signer.is_signed("grant order", nonce, body, request.headers.get(SIGNATURE_HEADER, "")):
            return web.Response(status=403, text="the order is not signed with the key of this Pod's gateway\n")
        try:
            receipt = await self._budget.obey(GrantOrder.model_validate_json(body))
        except ValidationError:
            return web.Response(status=400, text="the order cannot be understood\n")
        except OSError as error:
            return web.Response(status=503, text=f"the order cannot be written down: {error.strerror}\n")
        answer = receipt.model_dump_json(by_alias=True).encode()
        headers = {SIGNATURE_HEADER: signer.sign("grant receipt", nonce, answer)}
        return web.Response(body=answer, content_type="application/json", headers=headers)

    async def close(self, path: Path) -> None:
        """Give back what is not spent, and say so where the kubelet takes it into the Pod's status."""
        receipt = await self._budget.close()
        if receipt is None or self.signer is None:
            return
        text = receipt.model_dump_json(by_alias=True)
        last = LastReceipt(receipt=text, signature=self.signer.sign("last receipt", "", text.encode()))
        await asyncio.to_thread(_leave, path, last.model_dump_json(by_alias=True).encode())


def _leave(path: Path, document: bytes) -> None:
    """Only where the kubelet has made the file."""
    if not path.exists() or len(document) > TERMINATION_LOG_BYTES:
        return
    try:
        path.write_bytes(document)
    except OSError as error:
        _log.warning("%s cannot be written: %s", path, error.strerror)
