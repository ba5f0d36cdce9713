"""Claims as they were made: class and access modes are fixed, and whether one can grow depends on the class."""

from agent_kube import Manifest, ObjectKey, Stores
from agent_operator.sources import CLAIMS


def as_made(manifest: Manifest, stores: Stores) -> Manifest:
    """`manifest`; that of a claim which exists as the claim is."""
    if manifest["kind"] != "PersistentVolumeClaim":
        return manifest
    live = stores[CLAIMS].get(ObjectKey(manifest["metadata"]["namespace"], manifest["metadata"]["name"]))
    if live is None:
        return manifest
    made = {
        "accessModes": list(live.spec.access_modes),
        "resources": {"requests": {"storage": live.spec.size}},
        **({"storageClassName": live.spec.storage_class_name} if live.spec.storage_class_name else {}),
    }
    return {**manifest, "spec": made}
