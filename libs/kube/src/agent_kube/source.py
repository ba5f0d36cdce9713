"""One cached kind: which objects are watched and what is kept of each."""

from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw
from msgspec.structs import fields, force_setattr

from agent_kube.objects import ObjectModel, PartialObject, Writer
from agent_kube.resources import Resource

T = TypeVar("T", bound=ObjectModel)

PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
JSON = "application/json"


class ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    """`metadata` of a list: the version to watch from, and the token of the next page ("" on the last)."""

    resource_version: str = ""
    continue_token: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct, frozen=True):
    """One page of a list, its objects still undecoded. Go writes an empty list as null."""

    metadata: ListMeta
    items: list[Raw] | None = None


class Source(Generic[T]):
    """A kind to cache.

    `model`: what is kept of each object. With the default, `PartialObject`, only metadata is fetched, and of labels
    and annotations only the indexed labels are kept.
    `selector`: label selector sent to the server, for example of one shard.
    `labels`: names of labels to index by.
    `optional`: the API may be missing; the cache then counts as synced and empty and is tried again slowly.

    `writer` is set by `Stores.track`: whose fields and mark are noted in the metadata.
    """

    def __init__(
        self,
        resource: Resource,
        model: type[T] | None = None,
        *,
        selector: str = "",
        labels: tuple[str, ...] = (),
        optional: bool = False,
    ) -> None:
        chosen: type[Any] = model or PartialObject
        self.resource = resource
        self.selector = selector
        self.labels = labels
        self.optional = optional
        self.writer = Writer()
        self.metadata_only = chosen is PartialObject
        self._raw_fields = tuple(field.name for field in fields(chosen) if field.type is Raw)
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(chosen)

    def __repr__(self) -> str:
        return f"Source({self.resource})"

    @property
    def accept(self) -> str:
        """Media type of single objects and events."""
        return PARTIAL if self.metadata_only else JSON

    @property
    def accept_list(self) -> str:
        """Media type of lists."""
        return PARTIAL_LIST if self.metadata_only else JSON

    def decode(self, raw: bytes | Raw) -> T:
        """One object from its JSON. Raises msgspec.MsgspecError if it does not fit the model."""
        obj = self._decoder.decode(raw)
        obj.metadata.slim(self.writer, labels=self.labels if self.metadata_only else None)
        for name in self._raw_fields:  # a Raw is a view that would keep the whole page alive
            force_setattr(obj, name, getattr(obj, name).copy())
        return obj
