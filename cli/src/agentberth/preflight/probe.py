"""`check --probe`: two Pods in the agents' namespace show whether images can be pulled and NetworkPolicies hold.

One Pod listens on three ports, the other tries to reach them. Policies leave the first port open, close the second to
what comes in and the third to what goes out. Everything is deleted in the end.
"""

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agentberth.cluster.kubectl import Kubectl
from agentberth.errors import CommandError
from agentberth.preflight.finding import Finding, Plain, Surveyed

OPEN, NO_INGRESS, NO_EGRESS = 8080, 8081, 8082
_START_S: Final = 120.0
_TRIES_S: Final = 20
_LOOK_EVERY_S: Final = 0.5
_LABEL: Final = "agents.example.com/probe"
_UID: Final = 65532
_CANNOT_PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})

_LISTEN: Final = """
import socket, sys, time
held = [socket.create_server(("", int(port))) for port in sys.argv[1:]]
time.sleep(600)
"""
_TRY: Final = """
import json, socket, sys, time
host, patience, *ports = sys.argv[1:]
def reached(port):
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True
ends = time.monotonic() + int(patience)
while True:
    found = {port: reached(port) for port in ports}
    if list(found.values()) == [True, False, False] or time.monotonic() > ends:
        break
    time.sleep(0.5)
print(json.dumps(found))
"""


@dataclass(frozen=True)
class _Probe:
    """Names and images of one probe."""

    kubectl: Kubectl
    settings: Plain
    name: str

    def pod(self, role: str, image: str, *command: str) -> Plain:
        """A Pod that passes PodSecurity restricted."""
        container = {
            "name": "probe",
            "image": image,
            "imagePullPolicy": self.settings.get("images", {}).get("pullPolicy", "IfNotPresent"),
            "command": ["python3", "-c", *command],
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        spec = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "activeDeadlineSeconds": 300,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _UID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        }
        secrets_of_platform = self.settings.get("pod", {}).get("imagePullSecrets")
        if secrets_of_platform:
            spec["imagePullSecrets"] = secrets_of_platform
        return {"apiVersion": "v1", "kind": "Pod", "metadata": self._metadata(role), "spec": spec}

    def policies(self) -> list[Plain]:
        """Nothing comes in at NO_INGRESS, nothing goes out to NO_EGRESS."""
        return [
            self._policy("listener", "Ingress", {"ingress": [{"ports": _ports(OPEN, NO_EGRESS)}]}),
            self._policy("caller", "Egress", {"egress": [{"ports": _ports(OPEN, NO_INGRESS)}]}),
        ]

    def create(self, *documents: Plain) -> None:
        """Raises CommandError."""
        self.kubectl.ask("create", "--filename", "-", documents=documents)

    def await_pod(self, role: str, *phases: str) -> Plain:
        """The Pod in one of `phases`. Raises CommandError with why it is in none."""
        ends = time.monotonic() + _START_S
        while True:
            found = self.kubectl.get("pod", f"{self.name}-{role}")
            status = found.get("status", {})
            if status.get("phase") in phases:
                return found
            why = _trouble(found)
            if why.startswith(tuple(_CANNOT_PULL)) or time.monotonic() > ends:
                raise CommandError(why or f"the Pod {self.name}-{role} did not start in {_START_S:.0f} s")
            time.sleep(_LOOK_EVERY_S)

    def remove(self) -> None:
        """Without waiting; what cannot be removed ends by its own deadline."""
        with contextlib.suppress(CommandError):
            self.kubectl.ask(
                "delete", "pods,networkpolicies", "--selector", f"{_LABEL}={self.name}", "--wait=false", "--now"
            )

    def _metadata(self, role: str) -> Plain:
        return {"name": f"{self.name}-{role}", "labels": {_LABEL: self.name, f"{_LABEL}-role": role}}

    def _policy(self, role: str, direction: str, rules: Plain) -> Plain:
        selected = {"podSelector": {"matchLabels": {_LABEL: self.name, f"{_LABEL}-role": role}}}
        spec = {**selected, "policyTypes": [direction], **rules}
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": self._metadata(role),
            "spec": spec,
        }


def probe(surveyed: Surveyed) -> Iterator[Finding]:
    """What two Pods show. Needs the rights to create and delete Pods and NetworkPolicies in the namespace."""
    images = surveyed.settings.get("images", {})
    if not images.get("toolproxy") or not images.get("initenv"):
        yield Finding("probe", "skipped", "the platform's images are not known", "agentberth install, then check again")
        return
    trial = _Probe(surveyed.kubectl, surveyed.settings, f"agentberth-probe-{secrets.token_hex(3)}")
    try:
        yield from _tried(trial, images)
    except CommandError as error:
        yield Finding(
            "probe", "skipped", f"the Pods could not be made: {error}", "ask for the right to create Pods here"
        )
    finally:
        trial.remove()


def _tried(trial: _Probe, images: Plain) -> Iterator[Finding]:
    trial.create(*trial.policies())
    try:
        ports = [str(port) for port in (OPEN, NO_INGRESS, NO_EGRESS)]
        trial.create(trial.pod("listener", images["toolproxy"], _LISTEN, *ports))
        address = trial.await_pod("listener", "Running")["status"]["podIP"]
        trial.create(trial.pod("caller", images["initenv"], _TRY, address, str(_TRIES_S), *ports))
        trial.await_pod("caller", "Succeeded")
    except CommandError as error:
        yield Finding("pull", "error", f"a Pod with the platform's images does not start: {error}", _cure(str(error)))
        return
    yield Finding("pull", "ok", f"{images['toolproxy']} and {images['initenv']} start here")
    lines = trial.kubectl.logs(f"{trial.name}-caller", "probe", lines=1, previous=False)
    yield judge(json.loads(lines[-1]) if lines else {})


def judge(reached: dict[str, bool]) -> Finding:
    """The finding about NetworkPolicies, from which ports could be reached."""
    leaks = [
        direction
        for port, direction in ((NO_INGRESS, "ingress"), (NO_EGRESS, "egress"))
        if reached.get(str(port), False)
    ]
    if not reached.get(str(OPEN)):
        return Finding(
            "probe",
            "error",
            "a Pod cannot reach another one, even at a port that is open to it",
            "look for NetworkPolicies of this namespace that forbid it, and at the network plugin's Pods",
        )
    if leaks:
        return Finding(
            "probe",
            "error",
            f"NetworkPolicies for {' and '.join(leaks)} have no effect: agents reach everything that the nodes reach",
            "install a network plugin that enforces them, such as Calico or Cilium",
        )
    return Finding("probe", "ok", "NetworkPolicies hold for ingress and egress")


def _ports(*numbers: int) -> list[Plain]:
    return [{"protocol": "TCP", "port": number} for number in numbers]


def _trouble(pod: Plain) -> str:
    """Why the Pod does not run, in the cluster's words."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses", ()):
        state = container.get("state", {})
        found = state.get("waiting") or state.get("terminated") or {}
        if found.get("reason"):
            return f"{found['reason']}: {found.get('message', '')}".rstrip(": ")
    for condition in status.get("conditions", ()):
        if condition.get("status") == "False" and condition.get("message"):
            return str(condition["message"])
    return ""


def _cure(message: str) -> str:
    if message.startswith(tuple(_CANNOT_PULL)):
        return "agentberth install --registry HOST/PATH, or pod.imagePullSecrets in the platform's settings"
    return "kubectl get events, then agentberth check --probe again"
