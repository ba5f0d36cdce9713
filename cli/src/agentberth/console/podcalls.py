"""The calls that a sidecar has kept, read through the API server and verified.

Another process of the Pod could answer where a sidecar does not listen. So an answer is signed, for this Pod and this
question, with a key from the agent's ConfigMap that only the sidecar has; see `agent_api.signing`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from pydantic import ValidationError

from agent_api import layout
from agent_api.calls import CallsReport
from agent_api.signing import NONCE_HEADER, SIGNATURE_HEADER, Signer, new_nonce
from agent_render.identity import Identity
from agentberth.console.access import Api, RefusedError
from agentberth.console.view import Plain
from agentberth.errors import CommandError

OPS: Final = {layout.TOOLPROXY: layout.TOOLPROXY_OPS_PORT, layout.LLMGATEWAY: layout.LLMGATEWAY_OPS_PORT}
_KEYS: Final = {layout.TOOLPROXY: layout.TOOLS_REPORT_KEY, layout.LLMGATEWAY: layout.GATEWAY_REPORT_KEY}


@dataclass(frozen=True)
class CallKeys:
    """The keys of an agent's sidecars; without any its ConfigMap may not be read, and nothing is verified."""

    values: Mapping[str, str] | None

    def signer(self, pod: Plain, sidecar: str) -> Signer | None:
        """Of one sidecar of one Pod; None when nothing can be verified."""
        if self.values is None:
            return None
        return Signer(self.values.get(_KEYS[sidecar], ""), pod["metadata"]["uid"], sidecar)


async def read_keys(api: Api, namespace: str, name: str) -> CallKeys:
    """The keys of an agent. Raises CommandError, but not for want of rights."""
    config = Identity(name, namespace).config
    try:
        found = await api.get(f"/api/v1/namespaces/{quote(namespace)}/configmaps/{quote(config)}")
    except RefusedError as error:
        if error.status != 403:
            raise
        return CallKeys(None)
    return CallKeys(found.get("data") or {})


async def read_calls(api: Api, pod: Plain, sidecar: str, signer: Signer | None) -> CallsReport:
    """Raises CommandError, also for an answer without a valid signature where there is a `signer`."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(name)}:{OPS[sidecar]}/proxy/calls"
    nonce = new_nonce()
    body, headers = await api.read(path, {NONCE_HEADER: nonce}, {})
    if signer is not None and not signer.is_signed("calls", nonce, body, headers.get(SIGNATURE_HEADER, "")):
        raise CommandError("the answer is not signed by the sidecar, so another process of the Pod may have given it")
    try:
        return CallsReport.model_validate_json(body)
    except ValidationError:
        raise CommandError("the answer is not a report of calls") from None
