"""Who decides how many Pods a Deployment has: its AgentType, or an autoscaler, ours or somebody else's.

What server-side apply no longer owns is reset to its default, one Pod. So the present number is handed to a field
manager of its own first, and an annotation says that this was done. When the autoscaler goes and the spec gives no
number, the last one stays.
"""

from typing import Final

from agent_api.agenttype import Spec
from agent_kube import Client, Manifest, ObjectKey, Request, Stores
from agent_operator.objects import AgentObject, AutoscalerObject, DeploymentObject
from agent_operator.sources import DEPLOYED, DEPLOYMENTS, HANDED_OVER, SCALED

KEEPER: Final = "agentberth/replicas"
"""Field manager of a number that nobody has changed since it was handed over."""


def agents_scaled_by(autoscaler: AutoscalerObject) -> tuple[ObjectKey, ...]:
    """The agent whose Deployment an autoscaler has as its target; it may have no label of ours."""
    target = autoscaler.spec.scale_target_ref
    return (ObjectKey(autoscaler.key.namespace, target.name),) if target.kind == "Deployment" else ()


def foreign_autoscaler(stores: Stores, key: ObjectKey, owner_uid: str) -> str:
    """Name of an autoscaler on the Deployment `key` that is not the agent's own; "" without one."""
    found = (
        autoscaler.key.name
        for autoscaler in stores[SCALED].items()
        if autoscaler.key.namespace == key.namespace
        and key in agents_scaled_by(autoscaler)
        and autoscaler.metadata.controller_uid != owner_uid
    )
    return min(found, default="")


def as_scaled(
    manifest: Manifest, live: DeploymentObject | None, *, given: bool, autoscaler: str, suspended: bool
) -> Manifest:
    """A rendered Deployment without `replicas` where they are not ours to decide.

    `given`: whether the spec has a number of its own. `autoscaler`: somebody else's, "" without one.
    """
    spec = manifest["spec"]
    if suspended:
        return manifest
    stays = live is not None and HANDED_OVER in live.metadata.annotations and live.spec.replicas > 0 and not given
    if not (autoscaler or stays or "replicas" not in spec):
        return manifest
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), HANDED_OVER: "of an autoscaler"}
    return {
        **manifest,
        "metadata": {**metadata, "annotations": annotations},
        "spec": {name: value for name, value in spec.items() if name != "replicas"},
    }


async def hand_over(client: Client, request: Request, manifest: Manifest, live: DeploymentObject | None) -> None:
    """Keeps the present number when `manifest` is about to give it up. Raises Conflict when it changes meanwhile."""
    if live is None or "replicas" in manifest["spec"] or HANDED_OVER in live.metadata.annotations:
        return
    if live.spec.replicas == 0:
        return  # an autoscaler leaves a Deployment without Pods alone: the default wakes it
    kept = {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {
            "name": live.key.name,
            "namespace": live.key.namespace,
            "resourceVersion": live.metadata.resource_version,
        },
        "spec": {"replicas": live.spec.replicas},
    }
    await client.apply(DEPLOYMENTS, kept, field_manager=KEEPER)
    request.writes.count += 1


async def scaled_children(
    client: Client, stores: Stores, request: Request, obj: AgentObject, spec: Spec, children: tuple[Manifest, ...]
) -> tuple[Manifest, ...]:
    """`children`, the number of Pods left to whoever decides it."""
    live = stores[DEPLOYED].get(obj.key)
    autoscaler = "" if spec.suspend else foreign_autoscaler(stores, obj.key, obj.metadata.uid)
    scaled = []
    for child in children:
        manifest = child
        if child["kind"] == "Deployment":
            given = spec.replicas is not None
            manifest = as_scaled(child, live, given=given, autoscaler=autoscaler, suspended=spec.suspend)
            await hand_over(client, request, manifest, live)
        scaled.append(manifest)
    return tuple(scaled)
