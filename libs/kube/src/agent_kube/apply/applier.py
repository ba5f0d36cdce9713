"""Makes the children of an object what they should be, with as few and as small requests as that takes.

A child that is missing is created by POST, which is the server's cheapest write and fails if there is one already.
What exists is changed by server-side apply: it sends only the fields we own, under one field manager, and takes back
those that others changed. A child is left alone when the cache shows that nothing would change. What is not ours is
never overwritten: an object of the same name that another controller owns, or that nobody made from here, is an
`Occupied` refusal.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from agent_kube.apply.appliedstate import AppliedState
from agent_kube.apply.contests import Contest, Contests, last_writer
from agent_kube.apply.merge import merge_patch
from agent_kube.apply.ownership import claim, owns
from agent_kube.cache.store import Stores
from agent_kube.client.client import Client, Manifest, key_of
from agent_kube.control.request import Expectation, Request
from agent_kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, KubeError, NotFound, Occupied, ServerFault
from agent_kube.objects import ObjectKey, ObjectMeta, ObjectModel, Writer, digest_manifest, version_number
from agent_kube.source import Source

CLAIM_ATTEMPTS = 4


class HasStatus(Protocol):
    """A cached object that keeps its status undecoded."""

    @property
    def key(self) -> ObjectKey: ...

    @property
    def metadata(self) -> ObjectMeta: ...

    @property
    def status(self) -> Raw: ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """A child that could not be applied while others could: refused, or its admission webhook is out of order."""

    kind: str
    key: ObjectKey
    error: KubeError


@dataclass(frozen=True, slots=True)
class Contested:
    """A child whose fields another manager keeps taking."""

    kind: str
    key: ObjectKey
    contest: Contest


@dataclass(slots=True)
class Applied:
    """Outcome of `Applier.apply`: how many children were sent or needed nothing; those refused, and those contested."""

    sent: int = 0
    unchanged: int = 0
    refused: list[Refusal] = field(default_factory=list)
    contested: list[Contested] = field(default_factory=list)

    def add(self, later: "Applied") -> None:
        """Count what was applied after it in."""
        self.sent += later.sent
        self.unchanged += later.unchanged
        self.refused += later.refused
        self.contested += later.contested

    def raise_first(self) -> None:
        """Raise the error of the first refusal, if there is one."""
        if self.refused:
            raise self.refused[0].error


class Applier:
    """Writes children and status of objects of one root kind.

    Each method takes the pass's Request, which counts the writes and makes the key rest until the caches show them.

    `field_manager`: one for the whole operator; the caches must not be running yet, since they note what it owns.
    `mark`: name of the annotation that `AppliedState` reads. `retained`: that of a child without an owner, which stays.
    """

    def __init__(
        self,
        client: Client,
        stores: Stores,
        *,
        root: Source[Any],
        field_manager: str,
        mark: str,
        retained: str = "",
    ) -> None:
        self._retained = retained
        self._client = client
        self._stores = stores
        self._root = root
        self._writer = Writer(field_manager, mark)
        self._applied = AppliedState()
        self._contests = Contests()
        stores.track(self._writer)

    async def apply(self, request: Request, owner: ObjectModel, children: Sequence[Manifest]) -> Applied:
        """Apply `children` in their order, in the owner's namespace and owned by it.

        A refused child does not stop the others, nor does one that the server fails at (a webhook of one kind may be
        down); raises at once what would meet all of them (Unreachable, TooManyRequests, Unauthorized) and Conflict.
        """
        applied = Applied()
        request.writes.children = max(request.writes.children, len(children))
        for child in children:
            manifest = self._owned(child, owner)
            try:
                if await self._apply_one(request, owner, manifest):
                    applied.sent += 1
                else:
                    applied.unchanged += 1
                self._report_contest(applied, manifest)
            except (Forbidden, Invalid, NotFound, Occupied, ServerFault) as error:
                applied.refused.append(Refusal(manifest["kind"], key_of(manifest), error))
        return applied

    async def prune(
        self,
        request: Request,
        owner: ObjectModel,
        keep: Iterable[Manifest],
        *,
        sources: Iterable[Source[Any]] | None = None,
    ) -> int:
        """Delete the children that this applier made for `owner` and that are not in `keep`; answers how many.

        `sources`: kinds to look at, all cached ones by default.
        """
        kept = {(child["apiVersion"], child["kind"], child["metadata"]["name"]) for child in keep}
        pruned = 0
        for source in sources if sources is not None else [store.source for store in self._stores]:
            resource = source.resource
            for live in self._stores[source].owned_by(owner.metadata.uid):
                identity = (resource.api_version, resource.kind, live.metadata.name)
                if identity not in kept and self._prunable(live.metadata, owner.metadata.uid):
                    await self.delete(request, source, live)
                    pruned += 1
        return pruned

    async def delete(self, request: Request, source: Source[Any], live: ObjectModel) -> None:
        """Delete this very object, dependents in the background. Absent is well."""
        metadata = live.metadata
        self._applied.forget(metadata.uid)
        if await self._client.delete(source.resource, live.key, uid=metadata.uid):
            request.writes.record(Expectation(source, live.key, gone_uid=metadata.uid))

    async def patch_status(self, request: Request, obj: HasStatus, status: Manifest) -> bool:
        """Make the root object's status equal to `status`; answers whether anything had to be sent.

        Raises NotFound when the object is gone.
        """
        patch = merge_patch(msgspec.json.decode(obj.status), status)
        if not patch:
            return False
        answer = await self._client.patch_status(
            self._root.resource, obj.key, patch, field_manager=self._writer.manager
        )
        self._record(request, self._root, obj.metadata, answer)
        return True

    async def _apply_one(self, request: Request, owner: ObjectModel, manifest: Manifest) -> bool:
        source, digest = self._stores.source_of(manifest), digest_manifest(manifest)
        cached = self._stores[source].get(key_of(manifest))
        marked = self._marked(manifest, digest)
        if cached is None:
            created = await self._create(source, marked)
            if created is not None:
                self._applied.learn(created, manifest)
                self._record(request, source, None, created)
                return True
        live = cached.metadata if cached is not None else await self._find(source, key_of(manifest))
        if self._applied.misses(live, digest, manifest):
            await self._learn_from(source, live, manifest)
        if self._applied.holds(live, digest, manifest):
            return False
        self._require_ours(source, live, owner.metadata.uid)
        if live.mark == digest:
            await self._note_taker(source, live, manifest)
        if live.as_created:
            await self._claim(request, source, live)
        answer = await self._client.apply(source.resource, marked, field_manager=self._writer.manager)
        self._applied.learn(answer, manifest)
        self._record(request, source, live, answer)
        return True

    async def _note_taker(self, source: Source[Any], live: ObjectMeta, manifest: Manifest) -> None:
        """What was applied is not as it was: remember who took a field of it, unless it was only added to."""
        metadata = await self._client.find_fields(source.resource, live.key)
        entries = metadata.get("managedFields", []) if metadata else []
        if entries and not owns(entries, self._writer.manager, manifest):
            self._contests.note(live.uid, last_writer(entries, self._writer.manager))

    def _report_contest(self, applied: Applied, manifest: Manifest) -> None:
        live = self._stores[self._stores.source_of(manifest)].get(key_of(manifest))
        contest = self._contests.of(live.metadata.uid) if live is not None else None
        if contest is not None:
            applied.contested.append(Contested(manifest["kind"], key_of(manifest), contest))

    async def _create(self, source: Source[Any], marked: Manifest) -> ObjectMeta | None:
        """None if it exists: it is not in the cache yet, or not in the cache's selector."""
        try:
            return await self._client.post(source.resource, marked, field_manager=self._writer.manager)
        except AlreadyExists:
            return None

    async def _learn_from(self, source: Source[Any], live: ObjectMeta, manifest: Manifest) -> None:
        """After a restart: read once which fields a manifest of this shape owns, if `live` still owns them all."""
        metadata = await self._client.find_fields(source.resource, live.key)
        if metadata is None or metadata["resourceVersion"] != live.resource_version:
            return
        if owns(metadata.get("managedFields", []), self._writer.manager, manifest):
            self._applied.learn(live, manifest)

    async def _claim(self, request: Request, source: Source[Any], live: ObjectMeta) -> None:
        """Own through apply what is owned through the create: the next apply then removes what is not rendered.

        Controllers write the object's status meanwhile; Conflict when they were faster each time.
        """
        for attempt in range(CLAIM_ATTEMPTS):
            metadata = await self._client.find_fields(source.resource, live.key)
            if metadata is None:
                break
            entries = claim(metadata["managedFields"], self._writer.manager)
            change = {"metadata": {"managedFields": entries, "resourceVersion": metadata["resourceVersion"]}}
            try:
                answer = await self._client.patch(source.resource, live.key, change, field_manager=self._writer.manager)
            except Conflict:
                if attempt + 1 == CLAIM_ATTEMPTS:
                    raise
            else:
                self._record(request, source, live, answer)
                return
        raise Conflict(f"{source.resource} {live.key} has gone meanwhile")

    async def _find(self, source: Source[Any], key: ObjectKey) -> ObjectMeta:
        live = await self._client.find_metadata(source.resource, key, self._writer)
        if live is None:
            raise Conflict(f"{source.resource} {key} existed and has gone meanwhile")
        return live

    def _record(self, request: Request, source: Source[Any], before: ObjectMeta | None, answer: ObjectMeta) -> None:
        """Expect to see the answer's version, unless the write has changed nothing."""
        if before is None or before.resource_version != answer.resource_version:
            version = version_number(answer.resource_version)
            request.writes.record(Expectation(source, answer.key, version))

    def _require_ours(self, source: Source[Any], live: ObjectMeta, owner_uid: str) -> None:
        what = f"{source.resource} {live.key}"
        if live.controller_uid and live.controller_uid != owner_uid:
            raise Occupied(f"{what} belongs to another controller; rename one of the two", retry_after_s=5.0)
        if not live.controller_uid and not live.mark:
            raise Occupied(f"{what} exists already and was not made from here; rename or delete it", retry_after_s=30.0)

    def _prunable(self, live: ObjectMeta, owner_uid: str) -> bool:
        ours = live.controller_uid == owner_uid and bool(live.mark)
        return ours and live.deletion_timestamp is None

    def _owned(self, child: Manifest, owner: ObjectModel) -> Manifest:
        if self._retained and self._retained in child["metadata"].get("annotations", {}):
            return {**child, "metadata": {**child["metadata"], "namespace": owner.metadata.namespace}}
        reference = {
            "apiVersion": self._root.resource.api_version,
            "kind": self._root.resource.kind,
            "name": owner.metadata.name,
            "uid": owner.metadata.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
        metadata = {**child["metadata"], "namespace": owner.metadata.namespace, "ownerReferences": [reference]}
        return {**child, "metadata": metadata}

    def _marked(self, manifest: Manifest, digest: str) -> Manifest:
        metadata = manifest["metadata"]
        annotations = {**metadata.get("annotations", {}), self._writer.mark: digest}
        return {**manifest, "metadata": {**metadata, "annotations": annotations}}
