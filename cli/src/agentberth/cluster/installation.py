"""Applies the objects of a release by server-side apply, and waits until the operator runs.

Applying again changes nothing, and applying those of another release is the upgrade. What another tool installed is
left to that tool: two owners of the same fields would undo each other's work.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from agentberth.cluster.bundle import DEFINITION, NAMESPACE, OPERATOR, SELECTOR, Choices, installation
from agentberth.cluster.kubectl import Kubectl
from agentberth.cluster.rollout import Rollout, find_rollout, troubles
from agentberth.errors import CommandError

Plain = dict[str, Any]
Say = Callable[[str], None]

MANAGER: Final = "agentberth"
PART_OF: Final = "app.kubernetes.io/part-of"
_HELM: Final = "meta.helm.sh/release-name"
_POLL_S: Final = 1.0
_APPLY_S: Final = 120.0
_SETTLED_S: Final = 8.0
"""A trouble that is seen this long is told before the time for waiting is over; it may still pass."""


def apply(kubectl: Kubectl, choices: Choices, *, dry_run: bool = False) -> list[str]:
    """Applies all objects; a line for each, in kubectl's words. With `dry_run` the server only says what it would do.

    Raises CommandError when another tool or another namespace has an installation, or when the server refuses.
    """
    namespace = kubectl.get_if_present("namespace", choices.namespace)
    _refuse_other_installations(kubectl, choices.namespace)
    objects = installation(choices)
    if namespace is not None and not is_own(namespace):
        objects = [one for one in objects if one["kind"] != "Namespace"]
    if not dry_run:
        return _send(kubectl, objects)
    outside = [one for one in objects if "namespace" not in one["metadata"]]
    inside = [one for one in objects if "namespace" in one["metadata"]]
    # In a namespace that is not there yet the server can try nothing.
    how = "--dry-run=server" if namespace is not None else "--dry-run=client"
    return [*_send(kubectl, outside, "--dry-run=server"), *_send(kubectl, inside, how)]


def wait(kubectl: Kubectl, say: Say, *, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> Rollout:
    """Returns once every replica of the operator is ready; `say` is called at each step forward.

    Raises CommandError when it takes longer than `timeout_s`, with what keeps it from running.
    """
    end = clock() + timeout_s
    shown, complaint, since = "", "", clock()
    while True:
        rollout = find_rollout(kubectl)
        if rollout is not None and rollout.is_complete:
            return rollout
        line = f"operator: {rollout.ready if rollout else 0} of {rollout.wanted if rollout else 0} replicas are ready"
        if line != shown:
            say(line)
            shown = line
        found = next((trouble.message for trouble in troubles(kubectl)), "")
        if found != complaint:
            complaint, since = found, clock()
        elif found and since and clock() - since > _SETTLED_S:
            say(f"operator: {found}")
            since = 0.0
        if clock() > end:
            raise CommandError(
                f"the operator is not ready after {timeout_s:g} s{f': {complaint}' if complaint else ''}",
                cure=_after(kubectl),
            )
        time.sleep(_POLL_S)


def is_own(namespace: Plain) -> bool:
    """Whether an installation made this namespace."""
    return bool((namespace["metadata"].get("labels") or {}).get(PART_OF) == "agentberth")


def operators(kubectl: Kubectl) -> list[Plain]:
    """The Deployments of all operators in the cluster. Raises CommandError."""
    return kubectl.select("deployments", "--all-namespaces", f"--selector={SELECTOR}")


def release_of(one: Plain) -> str:
    """The Helm release that an object is of; empty for others."""
    return str((one["metadata"].get("annotations") or {}).get(_HELM, ""))


def _refuse_other_installations(kubectl: Kubectl, namespace: str) -> None:
    definition = kubectl.get_if_present("customresourcedefinition", DEFINITION) or {"metadata": {}}
    release = release_of(definition)
    for operator in operators(kubectl):
        metadata = operator["metadata"]
        release = release or release_of(operator)
        if metadata["namespace"] != namespace or metadata["name"] != OPERATOR:
            where = metadata["namespace"]
            raise CommandError(
                f"{metadata['name']} in namespace {where} is already an operator: two would undo each other's work",
                cure=f"agentberth install --namespace {where} upgrades it; for two on purpose, use kustomize or Helm",
            )
    if release:
        raise CommandError(
            f"Agentberth was installed by Helm, as release {release}",
            cure="helm upgrade, with the chart of this release",
        )


def _send(kubectl: Kubectl, objects: list[Plain], *flags: str) -> list[str]:
    words = ("apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", *flags, "-f", "-")
    if "--dry-run=client" in flags:
        words = ("apply", *flags, "-f", "-")
    try:
        return kubectl.ask(*words, documents=objects, timeout_s=_APPLY_S).splitlines()
    except CommandError as error:
        cure = "agentberth check names the rights that are missing" if "forbidden" in str(error).lower() else ""
        raise CommandError(str(error), cure=cure) from error


def _after(kubectl: Kubectl) -> str:
    flags = f" {' '.join(kubectl.flags)}" if kubectl.flags else f" --namespace {NAMESPACE}"
    return f"agentberth check{flags}"
