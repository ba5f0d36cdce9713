"""The verbs of the API: what is sent for each, and what of the answer is kept.

Patches name their media type, always: the generated client sends a dict as json-patch unless told otherwise. Answers
to writes are asked for as metadata alone, since a controller reads objects from its caches.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

import msgspec

from agent_kube.client.access import Access
from agent_kube.client.transport import Call, Limits, Transport
from agent_kube.errors import NotFound, ServerFault
from agent_kube.objects import ObjectKey, ObjectMeta, Writer
from agent_kube.resources import Resource
from agent_kube.source import PARTIAL, PARTIAL_LIST

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
UNWARNED = {"fieldValidation": "Ignore"}
"""Fields that the server does not know are dropped without being looked for: it would tell in a header that nobody
reads, and decode each object twice for it (3 % of its CPU)."""

Manifest = dict[str, Any]


class MetadataOnly(msgspec.Struct, frozen=True):
    """What is read of the answer to a patch."""

    metadata: ObjectMeta


class MetadataList(msgspec.Struct, frozen=True):
    """What is read of a list of at most one object."""

    items: list[MetadataOnly] | None = None


class Client:
    """Calls to one API server under one identity. Use as an async context manager.

    Every method raises the `Retryable` and `Terminal` errors of `errors.py`.
    """

    def __init__(self, access: Access, *, user_agent: str = "agent-operator", limits: Limits | None = None) -> None:
        self._transport = Transport(access, user_agent=user_agent, limits=limits or Limits())
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Manifest).decode
        self._decode_list = msgspec.json.Decoder(MetadataList).decode
        self._decode_metadata = msgspec.json.Decoder(MetadataOnly).decode

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def get(self, resource: Resource, key: ObjectKey, *, timeout_s: float | None = None) -> Manifest:
        """One object. NotFound if it is absent."""
        return self._decode(await self._transport.send(Call("GET", resource, key), timeout_s=timeout_s))

    async def list_page(
        self,
        resource: Resource,
        namespace: str,
        query: Mapping[str, str],
        *,
        accept: str,
        max_bytes: int | None = None,
    ) -> bytes:
        """One page of a list, undecoded. AnswerTooLarge when it exceeds `max_bytes`."""
        call = Call("GET", resource, ObjectKey(namespace, ""), query=query, accept=accept)
        return await self._transport.send(call, max_bytes=max_bytes)

    async def find_metadata(self, resource: Resource, key: ObjectKey, writer: Writer) -> ObjectMeta | None:
        """Metadata of one object, None if it is absent. A list, so that the right to `get` is not needed."""
        found = next(iter(self._decode_list(await self._find(resource, key)).items or ()), None)
        if found is None:
            return None
        found.metadata.slim(writer)
        return found.metadata

    async def find_fields(self, resource: Resource, key: ObjectKey) -> Manifest | None:
        """As `find_metadata`, but all of the metadata as a dict, managedFields included."""
        found = next(iter(self._decode(await self._find(resource, key))["items"] or ()), None)
        return found["metadata"] if found else None

    async def _find(self, resource: Resource, key: ObjectKey) -> bytes:
        query = {"fieldSelector": f"metadata.name={key.name}"}
        return await self.list_page(resource, key.namespace, query, accept=PARTIAL_LIST)

    def watch(
        self, resource: Resource, namespace: str, query: Mapping[str, str], *, accept: str, silence_s: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Lines of a watch; see `Transport.stream`."""
        call = Call("GET", resource, ObjectKey(namespace, ""), query={"watch": "1", **query}, accept=accept)
        return self._transport.stream(call, silence_s=silence_s)

    async def create(self, resource: Resource, manifest: Manifest, *, timeout_s: float | None = None) -> Manifest:
        """Create an object, answer it as stored. Conflict if it exists."""
        key = ObjectKey(manifest["metadata"].get("namespace", ""), "")
        call = Call("POST", resource, key, body=self._encode(manifest))
        return self._decode(await self._transport.send(call, timeout_s=timeout_s))

    async def post(self, resource: Resource, manifest: Manifest, *, field_manager: str) -> ObjectMeta:
        """Create an object, answer its metadata alone. AlreadyExists if there is one of that name.

        Costs the server about two thirds of an apply that creates, and never touches an existing object.
        """
        key = ObjectKey(manifest["metadata"].get("namespace", ""), "")
        query = {**UNWARNED, "fieldManager": field_manager}
        call = Call("POST", resource, key, "", query, self._encode(manifest), accept=PARTIAL)
        return self._read_metadata(call, await self._transport.send(call), field_manager)

    async def replace(self, resource: Resource, manifest: Manifest, *, timeout_s: float | None = None) -> Manifest:
        """Replace an object, answer it as stored. Conflict unless `metadata.resourceVersion` is current."""
        call = Call("PUT", resource, key_of(manifest), body=self._encode(manifest))
        return self._decode(await self._transport.send(call, timeout_s=timeout_s))

    async def apply(
        self, resource: Resource, manifest: Manifest, *, field_manager: str, force: bool = True
    ) -> ObjectMeta:
        """Server-side apply: create the object or set the fields in `manifest`. Conflict only without `force`."""
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        call = Call("PATCH", resource, key_of(manifest), "", query, self._encode(manifest), APPLY, PARTIAL)
        return self._read_metadata(call, await self._transport.send(call), field_manager)

    async def patch(
        self, resource: Resource, key: ObjectKey, change: Manifest, *, subresource: str = "", field_manager: str = ""
    ) -> ObjectMeta:
        """Merge patch: None removes a field, lists are replaced whole."""
        query = {**UNWARNED, "fieldManager": field_manager} if field_manager else UNWARNED
        call = Call("PATCH", resource, key, subresource, query, self._encode(change), MERGE, PARTIAL)
        return self._read_metadata(call, await self._transport.send(call), field_manager)

    async def patch_status(
        self, resource: Resource, key: ObjectKey, status: Manifest, *, field_manager: str = ""
    ) -> ObjectMeta:
        """Merge patch of the status subresource alone."""
        return await self.patch(resource, key, {"status": status}, subresource="status", field_manager=field_manager)

    async def delete(
        self, resource: Resource, key: ObjectKey, *, uid: str = "", propagation: str = "Background"
    ) -> bool:
        """Delete an object; False if it is absent. With `uid` only this very one: Conflict if it was made anew."""
        options: Manifest = {"propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            await self._transport.send(Call("DELETE", resource, key, body=self._encode(options)))
        except NotFound:
            return False
        return True

    def _read_metadata(self, call: Call, answer: bytes, field_manager: str) -> ObjectMeta:
        try:
            metadata = self._decode_metadata(answer).metadata
        except msgspec.MsgspecError as error:
            raise ServerFault(f"{call}: the answer has no metadata: {error}") from error
        metadata.slim(Writer(field_manager))
        return metadata


def key_of(manifest: Manifest) -> ObjectKey:
    """Identity of a manifest within its kind."""
    metadata = manifest["metadata"]
    return ObjectKey(metadata.get("namespace", ""), metadata["name"])
