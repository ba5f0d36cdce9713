"""The specs with which an agent was ready, kept so that one can be returned to.

A spec is kept when it has worked: what `agentberth rollback` offers first is then never another fault. One that comes
back is not kept twice; its number is raised, as the Deployment controller does it.
"""

import logging
from typing import Any

import msgspec

from agent_api.agenttype.revisions import MOST_REVISIONS, REVISION_LABEL, digest, lasting
from agent_kube import Client, KubeError, Manifest, PartialObject, Request, Stores, Unreachable
from agent_kube.control.request import Expectation
from agent_kube.objects import ObjectMeta, version_number
from agent_operator.objects import AgentObject
from agent_operator.owning import owner_reference
from agent_operator.sources import KEPT, REVISIONS
from agent_render.identity import Identity

log = logging.getLogger(__name__)


class RevisionKeeper:
    """One for the operator."""

    def __init__(self, client: Client, stores: Stores, *, field_manager: str) -> None:
        self._client = client
        self._stores = stores
        self._manager = field_manager

    async def keep(self, request: Request, obj: AgentObject) -> None:
        """Keep the spec of an agent that is ready as its newest revision.

        A history that cannot be kept is no fault of the agent: what the server refuses is logged, and tried again
        with the next pass.
        """
        spec = msgspec.json.decode(obj.spec)
        name = f"{obj.metadata.name}-{digest(spec)}"
        known = sorted(self._stores[KEPT].owned_by(obj.metadata.uid), key=_number)
        known = [each for each in known if _number(each)]
        if known and known[-1].metadata.name == name:
            return
        number = _number(known[-1]) + 1 if known else 1
        try:
            await self._write(request, obj, name, number, spec, known)
            for old in known[: max(0, len(known) + 1 - MOST_REVISIONS)]:
                if old.metadata.name != name and await self._client.delete(REVISIONS, old.key, uid=old.metadata.uid):
                    request.writes.record(Expectation(KEPT, old.key, gone_uid=old.metadata.uid))
        except Unreachable:
            raise
        except KubeError as error:
            log.warning("revision %s is not kept: %s", name, error)

    async def _write(
        self,
        request: Request,
        obj: AgentObject,
        name: str,
        number: int,
        spec: dict[str, Any],
        known: list[PartialObject],
    ) -> None:
        same = next((each for each in known if each.metadata.name == name), None)
        if same is None:
            manifest = _manifest(obj, name, number, spec)
            answer: ObjectMeta = await self._client.post(REVISIONS, manifest, field_manager=self._manager)
        else:
            change = {"metadata": {"labels": {REVISION_LABEL: str(number)}}, "revision": number}
            answer = await self._client.patch(REVISIONS, same.key, change, field_manager=self._manager)
        request.writes.record(Expectation(KEPT, answer.key, version_number(answer.resource_version)))


def _number(revision: PartialObject) -> int:
    """0 for what is no revision of ours, such as a StatefulSet's."""
    text = revision.metadata.labels.get(REVISION_LABEL, "")
    return int(text) if text.isdecimal() else 0


def _manifest(obj: AgentObject, name: str, number: int, spec: dict[str, Any]) -> Manifest:
    metadata = Identity(obj.metadata.name, obj.metadata.namespace).metadata(name)
    return {
        "apiVersion": REVISIONS.api_version,
        "kind": REVISIONS.kind,
        "metadata": {
            **metadata,
            "labels": {**metadata["labels"], REVISION_LABEL: str(number)},
            "ownerReferences": [owner_reference(obj)],
        },
        "revision": number,
        "data": {"spec": lasting(spec)},
    }
