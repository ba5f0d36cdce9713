"""The secrets of an agent's Pods: who may speak to its sidecars, and which reports are theirs.

One random key for each agent, kept by the operator in the agent's ConfigMap, from which the others are derived. A
ConfigMap and not a Secret: the operator has to read the key again after a restart, and it may read no Secret. What
is derived is of use only inside the Pod, where the sidecars listen on loopback, or at the Pod's own address.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent_api import layout
from agent_api.signing import Signer
from agent_render.identity import Manifest, fingerprint

KEYS_HASH = f"{layout.GROUP}/pod-key-hash"
_REPORT_KEYS = {layout.LLMGATEWAY: layout.GATEWAY_REPORT_KEY, layout.TOOLPROXY: layout.TOOLS_REPORT_KEY}
_NEEDED = {
    layout.GATEWAY_KEY: (layout.GATEWAY_TOKEN_KEY, layout.GATEWAY_REPORT_KEY),
    layout.TOOLS_KEY: (layout.TOOLS_TOKEN_KEY, layout.TOOLS_REPORT_KEY),
}


@dataclass(frozen=True)
class PodKeys:
    """The keys of one agent. `secret` is 256 bits as text."""

    secret: str

    def __repr__(self) -> str:
        return "PodKeys(***)"

    @classmethod
    def new(cls) -> "PodKeys":
        return cls(secrets.token_urlsafe(32))

    def derive(self, name: str) -> str:
        """The key that is called `name` in the ConfigMap."""
        return hmac.new(self.secret.encode(), name.encode(), hashlib.sha256).hexdigest()

    def signer(self, sidecar: str, pod_uid: str) -> Signer:
        """Of what a sidecar, `llmgateway` or `toolproxy`, of one Pod says and is told."""
        return Signer(self.derive(_REPORT_KEYS[sidecar]), pod_uid, sidecar)

    def data(self, config: Mapping[str, str]) -> dict[str, str]:
        """What the ConfigMap with `config` holds of them: those of the sidecars that are configured there."""
        names = [name for key, needed in _NEEDED.items() if key in config for name in needed]
        return {name: self.derive(name) for name in names}


def with_keys(manifests: Iterable[Manifest], keys: PodKeys, config_name: str) -> tuple[Manifest, ...]:
    """`manifests` with the keys in the ConfigMap called `config_name`, and Pods that are replaced with them."""
    found = tuple(manifests)
    held = next((keys.data(each["data"]) for each in found if _is_config(each, config_name)), {})
    if not held:
        return found
    return tuple(_with_keys(each, keys, held, config_name) for each in found)


def _is_config(manifest: Manifest, name: str) -> bool:
    return bool(manifest["kind"] == "ConfigMap" and manifest["metadata"]["name"] == name)


def _with_keys(manifest: Manifest, keys: PodKeys, held: Mapping[str, str], config_name: str) -> Manifest:
    if _is_config(manifest, config_name):
        return {**manifest, "data": {**manifest["data"], layout.POD_KEY: keys.secret, **held}}
    if manifest["kind"] not in ("Deployment", "Job", "CronJob"):
        return manifest
    return _annotated(
        manifest, ("spec", "jobTemplate") if manifest["kind"] == "CronJob" else (), fingerprint(keys.secret)
    )


def _annotated(manifest: Manifest, to_spec: tuple[str, ...], value: str) -> Manifest:
    """`manifest` with another annotation of its Pod template; nothing that is shared is changed."""
    copy: dict[str, Any] = dict(manifest)
    inner = copy
    for name in (*to_spec, "spec", "template", "metadata"):
        inner[name] = dict(inner.get(name, {}))
        inner = inner[name]
    inner["annotations"] = {**inner.get("annotations", {}), KEYS_HASH: value}
    return copy
