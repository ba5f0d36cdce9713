"""The operator in the cluster, as deploy/overlays/test deploys it."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from e2e.kubectl import Document
from e2e.place import ROOT, Site
from e2e.waiting import eventually

OVERLAY = ROOT / "deploy" / "overlays" / "test"
NAMESPACE = "agentberth-system"
DEPLOYMENT = "agentberth-operator"


def deploy_operator(site: Site, folder: Path) -> None:
    """`kubectl apply -k`, and waits until the operator of this very overlay is ready."""
    was_there = operator_pods(site)
    apply_overlay(site, overlay_of(site, folder), restart=bool(was_there))  # its image may have changed under its tag


def overlay_of(site: Site, folder: Path) -> Path:
    """The test overlay with the site's images; on another cluster it is written to `folder`."""
    return OVERLAY if site.own else write_overlay(site, folder)


def apply_overlay(site: Site, kustomization: Path, *, restart: bool = False) -> None:
    """`kubectl apply -k`; returns when the operator of that overlay is ready and no other is left."""
    site.kubectl.run("apply", "-k", str(kustomization))
    if restart:
        site.kubectl.run("rollout", "restart", f"deployment/{DEPLOYMENT}", "-n", NAMESPACE)
    site.kubectl.run("rollout", "status", f"deployment/{DEPLOYMENT}", "-n", NAMESPACE, "--timeout=80s")
    eventually(lambda: len(operator_pods(site)) == 1, what="the former operator is gone")


def operator_pods(site: Site) -> list[Document]:
    """The operator's Pods."""
    return site.kubectl.list("pods", NAMESPACE, f"app.kubernetes.io/name={DEPLOYMENT}")


def kill_operator(site: Site) -> None:
    """SIGKILL for the operator's process where it runs on this machine; elsewhere its Pod is deleted by force."""
    pods = operator_pods(site)
    if not site.own:
        names = [pod["metadata"]["name"] for pod in pods]
        site.kubectl.run("delete", "pod", "-n", NAMESPACE, *names, "--grace-period=0", "--force", "--wait=false")
        return
    for pod in pods:
        (container,) = pod["status"]["containerStatuses"]
        send(signal.SIGKILL, processes_of(container["containerID"].rpartition("/")[2]))


def send(number: signal.Signals, pids: Iterable[int]) -> None:
    """A signal for processes of this machine; a probe's has often ended by then."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def processes_of(container: str) -> list[int]:
    """Processes of this machine that are in a container, by its id."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and container in (folder / "cgroup").read_text():
                found.append(int(folder.name))
    return found


def write_overlay(site: Site, folder: Path, *, replicas: int = 1, **settings: Any) -> Path:
    """An overlay over the test overlay, with the site's images, that many operators, and `settings` of the platform."""
    platform = {**yaml.safe_load((OVERLAY / "platform.yaml").read_text()), **settings}
    for part in ("initenv", "toolproxy", "llmgateway", "memory"):
        platform["images"][part] = getattr(site.images, part)
    for runtime in ("python", "nodejs"):
        platform["runtimes"][runtime]["image"] = getattr(site.images, runtime)
    (folder / "platform.yaml").write_text(yaml.safe_dump(platform))
    name, _, tag = site.images.operator.rpartition(":")
    overlay = {
        "resources": [os.path.relpath(OVERLAY, folder.resolve())],
        "images": [{"name": "localhost/agent-operator", "newName": name, "newTag": tag}],
        "replicas": [{"name": DEPLOYMENT, "count": replicas}],
        "configMapGenerator": [
            {
                "name": "agentberth-platform",
                "namespace": NAMESPACE,
                "behavior": "replace",
                "files": ["platform.yaml"],
            }
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    return folder
