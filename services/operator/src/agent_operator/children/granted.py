"""Tells the gateways of an operator's Pods that their budget comes in slices; elsewhere they keep it themselves."""

import json

from agent_api import layout
from agent_kube import Manifest


def with_granted_budget(children: tuple[Manifest, ...], config_name: str) -> tuple[Manifest, ...]:
    """`children` with that in the gateway.json of the ConfigMap called `config_name`."""
    return tuple(_granted(each) if _is_gateways(each, config_name) else each for each in children)


def _is_gateways(manifest: Manifest, name: str) -> bool:
    return (
        manifest["kind"] == "ConfigMap"
        and manifest["metadata"]["name"] == name
        and layout.GATEWAY_KEY in manifest["data"]
    )


def _granted(manifest: Manifest) -> Manifest:
    config = json.loads(manifest["data"][layout.GATEWAY_KEY])
    if not any(config["budget"].values()):
        return manifest
    config["budget"]["granted"] = True
    return {**manifest, "data": {**manifest["data"], layout.GATEWAY_KEY: json.dumps(config, indent=2)}}
