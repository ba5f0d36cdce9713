"""One cached kind: which objects are watched and what is kept of each."""

from collections.abc import Callable
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

    `model`: what is kept of each object. With the default, `PartialObject`, only metadata is fetched.
    `kept`: names of the labels and annotations that are kept of each object, beside the indexed labels; None keeps
    all of them, which is for kinds that only trusted people write.
    `keeps`: which objects are kept at all; others are as if they did not exist.
    `selector`: label selector sent to the server, for example of one shard.
    `labels`: names of labels to index by.
    `optional`: the API may be missing; the cache then counts as synced and empty and is tried again slowly.

    `writer` is set by `Stores.track`: whose fields and mark are noted in the metadata.
    """

    def __init__(  # noqa: PLR0913  what is kept of a kind has that many sides
        self,
        resource: Resource,
        model: type[T] | None = None,
        *,
        selector: str = "",
        labels: tuple[str, ...] = (),
        kept: tuple[str, ...] | None = None,
        keeps: Callable[[T], bool] = lambda _obj: True,
        optional: bool = False,
    ) -> None:
        chosen: type[Any] = model or PartialObject
        self.resource = resource
        self.selector = selector
        self.labels = labels
        self.keeps = keeps
        self.optional = optional
        self.writer = Writer()
        self.metadata_only = chosen is PartialObject
        if kept is None and self.metadata_only:
            kept = ()
        self._kept = None if kept is None else frozenset((*labels, *kept))
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
        obj.metadata.slim(self.writer, kept=self._kept)
        for name in self._raw_fields:  # a Raw is a view that would keep the whole page alive
            force_setattr(obj, name, getattr(obj, name).copy())
        return obj
