"""The node: container runtime, kubelet, kube-proxy and DNS, and the objects that Pods expect to be there."""

import string
from pathlib import Path
from typing import Any

from testcluster.api import ApiClient
from testcluster.home import ClusterConfig, Home
from testcluster.host import run_command
from testcluster.network import HOST_ADDRESS, NODE_ADDRESS, POD_RANGE

from .component import Component
from .control_plane import SERVICE_RANGE

NODE_NAME = "node1"
DNS_ADDRESS = "10.96.0.10"
PAUSE_IMAGE = "localhost/pause:1"
IMAGE_NAMESPACE = "k8s.io"
CLIENTS = ("kubelet", "kube-proxy", "coredns")
CAPACITY = "8Gi"
"""Of a volume: a memory of 2Gi that keeps its data claims three times as much. Nothing is reserved."""
CONF = Path(__file__).resolve().parents[3] / "conf"


def fill(text: str, home: Home) -> str:
    """A configuration file with its ${names} filled in. Raises KeyError for a name there is no value for."""
    values = {
        "HOME": home.root,
        "RUN": home.run,
        "PKI": home.pki,
        "IMAGES": home.images,
        "CONTAINERD_SOCKET": home.containerd_socket,
        "NODE_NAME": NODE_NAME,
        "NODE_ADDRESS": NODE_ADDRESS,
        "HOST_ADDRESS": HOST_ADDRESS,
        "POD_RANGE": POD_RANGE,
        "DNS_ADDRESS": DNS_ADDRESS,
        "PAUSE_IMAGE": PAUSE_IMAGE,
    }
    return string.Template(text).substitute(values)


def write_configuration(home: Home) -> None:
    """Fills in every file of conf/; those that containerd looks for go to the folders that it reads."""
    folders = {"10-ptp.conflist": home.folder("cni"), "hosts.toml": home.folder("registries") / "docker.io"}
    for source in sorted(CONF.iterdir()):
        folder = folders.get(source.name, home.run)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / source.name).write_text(fill(source.read_text(), home))


def runtime(home: Home) -> Component:
    """containerd, with its sockets and state in the home."""
    return Component("containerd", ("containerd", "--config", f"{home.run}/containerd.toml"))


def kubelet(home: Home, config: ClusterConfig) -> Component:
    """The kubelet of the only node."""
    return Component(
        "kubelet",
        (
            f"{config.programs}/kubelet",
            f"--config={home.run}/kubelet.yaml",
            f"--kubeconfig={home.run}/kubelet.kubeconfig",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={NODE_ADDRESS}",
            f"--root-dir={home.folder('kubelet')}",
            f"--cert-dir={home.pki}",
        ),
    )


def proxy(home: Home, config: ClusterConfig) -> Component:
    """kube-proxy: Services, by iptables of the node's own network namespace."""
    return Component("kube-proxy", (f"{config.programs}/kube-proxy", f"--config={home.run}/kube-proxy.yaml"))


def dns(home: Home, config: ClusterConfig) -> Component:
    """CoreDNS as a process of the node, not as a Pod, because its image would have to come from somewhere."""
    return Component("coredns", (f"{config.programs}/coredns", "-conf", f"{home.run}/Corefile"))


def make_volume_folders(home: Home, count: int) -> None:
    """Folders of the local volumes: open to all, as a Pod's user is not known before."""
    for index in range(count):
        folder = home.folder("volumes") / str(index)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)


def volume(home: Home, index: int) -> dict[str, Any]:
    """A volume of type `local`, which honours fsGroup, unlike hostPath."""
    hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"volume-{index}"},
        "spec": {
            "capacity": {"storage": CAPACITY},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "standard",
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(home.folder("volumes") / str(index))},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
        },
    }


def storage_class() -> dict[str, Any]:
    """The default class: volumes are bound when the first Pod that wants them is scheduled."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def dns_objects() -> tuple[dict[str, Any], dict[str, Any]]:
    """The kube-dns Service, which has no selector, and its only endpoint: the node itself."""
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "spec": {"clusterIP": DNS_ADDRESS, "ports": ports},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kube-dns-node",
            "namespace": "kube-system",
            "labels": {"kubernetes.io/service-name": "kube-dns"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [NODE_ADDRESS]}],
        "ports": ports,
    }
    return service, endpoints


def create_objects(api: ApiClient, home: Home, *, volumes: int) -> None:
    """Creates what a cluster's Pods take for granted: DNS and storage."""
    service, endpoints = dns_objects()
    api.create("/api/v1/namespaces/kube-system/services", service)
    api.create("/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices", endpoints)
    api.create("/apis/storage.k8s.io/v1/storageclasses", storage_class())
    for index in range(volumes):
        api.create("/api/v1/persistentvolumes", volume(home, index))


def is_ready(api: ApiClient) -> bool:
    """Whether the node's Ready condition is true."""
    node = api.get(f"/api/v1/nodes/{NODE_NAME}")
    conditions = node["status"].get("conditions", []) if node else []
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)


def import_image(home: Home, archive: Path) -> list[str]:
    """Loads a docker or OCI archive; returns what containerd said, one line per image. Raises CommandError."""
    return containerctl(home, "images", "import", str(archive)).splitlines()


def tag_image(home: Home, source: str, target: str) -> None:
    """Gives an image another name, such as one that a manifest uses verbatim. Raises CommandError."""
    containerctl(home, "images", "tag", "--force", source, target)


def containerctl(home: Home, *arguments: str) -> str:
    """Runs containerd's client in kubelet's image namespace."""
    return run_command(["ctr", "--address", str(home.containerd_socket), "-n", IMAGE_NAMESPACE, *arguments])


def routed_ranges() -> tuple[str, ...]:
    """What the host reaches through the node."""
    return POD_RANGE, SERVICE_RANGE
