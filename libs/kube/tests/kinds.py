"""Kinds that the runtime's tests work with, and small manifests of them."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from agent_kube import ObjectModel, Raw, Resource, Source
from agent_kube.resources import EVENTS, LEASES

WIDGETS = Resource("example.com", "v1", "widgets", "Widget")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
ALL = (WIDGETS, CONFIG_MAPS, DEPLOYMENTS, EVENTS, LEASES)

MARK = "example.com/applied"
MANAGER = "example.com/widget"


class Widget(ObjectModel, frozen=True, gc=False):
    spec: Raw = Raw(b"{}")
    status: Raw = Raw(b"{}")


class DeploymentStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    ready_replicas: int = 0


class Deployment(ObjectModel, frozen=True, gc=False):
    status: DeploymentStatus = DeploymentStatus()


def widgets(**options: Any) -> Source[Widget]:
    return Source(WIDGETS, Widget, **options)


def deployments(**options: Any) -> Source[Deployment]:
    return Source(DEPLOYMENTS, Deployment, **options)


def config_maps(**options: Any) -> Source[Any]:
    return Source(CONFIG_MAPS, **options)


def widget(name: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata, "spec": spec}


def config_map(name: str, namespace: str = "default", **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(name: str, image: str = "nginx", **spec: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": image, "env": [{"name": "A", "value": "1"}]}]}
    metadata = {"name": name, "labels": {"app": name}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"template": {"spec": pod}, **spec},
    }


async def eventually(condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """The condition's first truthy value; fails with its source when it does not come."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still not so after {timeout_s} s: {condition}"
        await asyncio.sleep(0.01)
    return value
