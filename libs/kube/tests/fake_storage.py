"""State of a fake API server: versions, history for watches, generations, and field ownership of server-side apply.

An object is kept as its fields, each under a path as managedFields name it, so that ownership and merging are set
operations. Lists whose items have a known key are maps, all others are atomic, as in the server.
"""

import itertools
import uuid
from dataclasses import dataclass, field
from typing import Any

from libs.kube.tests.fake_fields import Json, Path, flatten, leaves, merged, overlap, unflatten

SYSTEM = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")


class StatusError(Exception):
    def __init__(self, code: int, reason: str, message: str, *, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.code, self.reason, self.retry_after_s = code, reason, retry_after_s


@dataclass
class Stored:
    system: dict[str, Any]
    fields: dict[Path, Json]
    owners: dict[tuple[str, str, str], set[Path]] = field(default_factory=dict)  # (manager, operation, subresource)


@dataclass(frozen=True)
class Event:
    version: int
    type: str
    plural: str
    namespace: str
    object: Json


def user_part(manifest: Json) -> Json:
    metadata = {k: v for k, v in manifest.get("metadata", {}).items() if k not in (*SYSTEM, "managedFields")}
    rest = {k: v for k, v in manifest.items() if k not in ("metadata", "apiVersion", "kind")}
    return {**rest, **({"metadata": metadata} if metadata else {})}


class FakeStorage:
    def __init__(self) -> None:
        self.version = 100
        self.compacted = 0
        self.history: list[Event] = []
        self.objects: dict[tuple[str, str, str], Stored] = {}
        self._uids = itertools.count(1)

    # reading

    def render(self, plural: str, kind: tuple[str, str], key: tuple[str, str]) -> Json:
        stored = self._stored(plural, *key)
        body = unflatten(stored.fields)
        metadata = {**stored.system, **body.pop("metadata", {}), "managedFields": self._managed_fields(stored, kind[0])}
        return {"apiVersion": kind[0], "kind": kind[1], "metadata": metadata, **body}

    def keys(self, plural: str, namespace: str) -> list[tuple[str, str]]:
        return sorted((ns, n) for p, ns, n in self.objects if p == plural and namespace in ("", ns))

    def has(self, plural: str, namespace: str, name: str) -> bool:
        return (plural, namespace, name) in self.objects

    # writing: each answers the object as it is then

    def create(self, plural: str, kind: tuple[str, str], manifest: Json, manager: str) -> Json:
        namespace, name = manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
        if self.has(plural, namespace, name):
            raise StatusError(409, "AlreadyExists", f'{plural} "{name}" already exists')
        flat = flatten(user_part(manifest)) | self._defaults(plural, manifest)
        self._insert(plural, namespace, name, flat, (manager, "Update", ""))
        return self._changed("ADDED", plural, kind, (namespace, name))

    def apply(
        self, plural: str, kind: tuple[str, str], key: tuple[str, str], manifest: Json, manager: str, *, force: bool
    ) -> Json:
        flat = flatten(user_part(manifest))
        owner = (manager, "Apply", "")
        if not self.has(plural, *key):
            self._insert(plural, *key, flat, owner)
            self._stored(plural, *key).fields |= self._defaults(plural, manifest)
            return self._changed("ADDED", plural, kind, key)
        stored = self._stored(plural, *key)
        sent = manifest["metadata"].get("resourceVersion")
        if sent and sent != stored.system["resourceVersion"]:
            raise StatusError(409, "Conflict", "the object has been modified; please apply your changes to the latest")
        before = self._fingerprint(stored)
        taken = {p for p, v in flat.items() if p in stored.fields and stored.fields[p] != v}
        for other, paths in stored.owners.items():
            if other != owner and paths & taken and not force:
                raise StatusError(409, "Conflict", f"conflict with {other[0]}: {sorted(paths & taken)}")
        for path in stored.owners.get(owner, set()) - flat.keys():
            if not any(path in paths for other, paths in stored.owners.items() if other != owner):
                stored.fields.pop(path, None)
        self._set(stored, flat, taken, owner)
        stored.owners[owner] = set(flat)
        stored.fields = self._defaults(plural, unflatten(stored.fields)) | stored.fields
        return self._changed_if(before, plural, kind, key)

    def merge(
        self, plural: str, kind: tuple[str, str], key: tuple[str, str], patch: Json, manager: str, subresource: str
    ) -> Json:
        current = self.render(plural, kind, key)
        wanted = merged(current, {"status": patch.get("status")} if subresource == "status" else patch)
        if "managedFields" in (patch.get("metadata") or {}):
            return self._rewrite_owners(plural, kind, key, wanted["metadata"])
        return self.replace(plural, kind, wanted, manager, subresource=subresource, locked=False)

    def replace(
        self,
        plural: str,
        kind: tuple[str, str],
        manifest: Json,
        manager: str,
        *,
        subresource: str = "",
        locked: bool = True,
    ) -> Json:
        key = (manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
        stored = self._stored(plural, *key)
        sent = manifest["metadata"].get("resourceVersion")
        if locked and sent is not None and sent != stored.system["resourceVersion"]:
            raise StatusError(409, "Conflict", "the object has been modified; please apply your changes to the latest")
        before = self._fingerprint(stored)
        flat = flatten(user_part(manifest))
        owner = (manager, "Update", subresource)
        changed = {p for p in flat.keys() | stored.fields.keys() if stored.fields.get(p, ...) != flat.get(p, ...)}
        stored.fields = dict(flat)
        self._set(stored, {}, changed, owner)
        stored.owners[owner] = (stored.owners.get(owner, set()) | changed) & flat.keys()
        answer = self._changed_if(before, plural, kind, key)
        if stored.system.get("deletionTimestamp") and not answer["metadata"].get("finalizers"):
            return self._remove(plural, kind, key)
        return answer

    def delete(self, plural: str, kind: tuple[str, str], key: tuple[str, str], uid: str = "") -> Json:
        stored = self._stored(plural, *key)
        if uid and stored.system["uid"] != uid:
            raise StatusError(409, "Conflict", f"the UID in the precondition ({uid}) does not match")
        if self.render(plural, kind, key)["metadata"].get("finalizers"):
            stored.system["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            return self._changed("MODIFIED", plural, kind, key)
        return self._remove(plural, kind, key)

    def compact(self) -> None:
        """Forget the history: watches from before now are 410."""
        self.compacted = self.version
        self.history.clear()

    def _rewrite_owners(self, plural: str, kind: tuple[str, str], key: tuple[str, str], metadata: Json) -> Json:
        stored = self._stored(plural, *key)
        if metadata["resourceVersion"] != stored.system["resourceVersion"]:
            raise StatusError(409, "Conflict", "the object has been modified")
        stored.owners = {
            (entry["manager"], entry["operation"], entry.get("subresource", "")): set(leaves(entry["fieldsV1"]))
            for entry in metadata["managedFields"]
        }
        return self._changed("MODIFIED", plural, kind, key)

    # inside

    def _defaults(self, plural: str, manifest: Json) -> dict[Path, Json]:
        """A create owns defaults, an apply does not."""
        missing = plural == "deployments" and "replicas" not in (manifest.get("spec") or {})
        return {("f:spec", "f:replicas"): 1} if missing else {}

    def _stored(self, plural: str, namespace: str, name: str) -> Stored:
        stored = self.objects.get((plural, namespace, name))
        if stored is None:
            raise StatusError(404, "NotFound", f'{plural} "{name}" not found')
        return stored

    def _insert(
        self, plural: str, namespace: str, name: str, flat: dict[Path, Json], owner: tuple[str, str, str]
    ) -> None:
        system = {"name": name, "namespace": namespace, "uid": f"{next(self._uids):08d}-{uuid.uuid4()}"}
        if not namespace:
            del system["namespace"]
        stored = Stored({**system, "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}, dict(flat))
        stored.owners[owner] = set(flat)
        self.objects[plural, namespace, name] = stored

    def _set(self, stored: Stored, flat: dict[Path, Json], taken: set[Path], owner: tuple[str, str, str]) -> None:
        for other in list(stored.owners):
            if other != owner:
                stored.owners[other] -= taken
                if not stored.owners[other]:
                    del stored.owners[other]
        for path in [old for old in stored.fields if any(overlap(old, new) for new in flat)]:
            del stored.fields[path]
            for paths in stored.owners.values():
                paths.discard(path)
        stored.fields.update(flat)

    def _fingerprint(self, stored: Stored) -> tuple[Json, Json, Json]:
        desired = {p: v for p, v in stored.fields.items() if p[0] not in ("f:status", "f:metadata")}
        return dict(stored.fields), {k: set(v) for k, v in stored.owners.items()}, desired

    def _changed_if(self, before: Json, plural: str, kind: tuple[str, str], key: tuple[str, str]) -> Json:
        stored = self._stored(plural, *key)
        after = self._fingerprint(stored)
        if after[2] != before[2]:
            stored.system["generation"] += 1
        if after == before:
            return self.render(plural, kind, key)
        return self._changed("MODIFIED", plural, kind, key)

    def _changed(self, what: str, plural: str, kind: tuple[str, str], key: tuple[str, str]) -> Json:
        self.version += 1
        self._stored(plural, *key).system["resourceVersion"] = str(self.version)
        answer = self.render(plural, kind, key)
        self.history.append(Event(self.version, what, plural, key[0], answer))
        return answer

    def _remove(self, plural: str, kind: tuple[str, str], key: tuple[str, str]) -> Json:
        answer = self._changed("DELETED", plural, kind, key)
        del self.objects[(plural, *key)]
        return answer

    def _managed_fields(self, stored: Stored, api_version: str) -> Json:
        entries = []
        for (manager, operation, subresource), paths in sorted(stored.owners.items()):
            tree: dict[str, Any] = {}
            for path in sorted(paths):
                node = tree
                for part in path:
                    node = node.setdefault(part, {})
            entry = {"manager": manager, "operation": operation, "apiVersion": api_version, "fieldsV1": tree}
            entries.append({**entry, "subresource": subresource} if subresource else entry)
        return entries
