"""What the user may do, and what the operator may, asked of the server by reviews, which it answers and never keeps."""

import json
from collections.abc import Iterator
from typing import Final

from agentberth.cluster.bundle import OPERATOR, Choices, find, without_definition
from agentberth.cluster.kubectl import Kubectl
from agentberth.errors import CommandError
from agentberth.preflight.finding import Finding, Plain, Surveyed

_TO_INSTALL: Final = (
    ("create", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("create", "rbac.authorization.k8s.io", "clusterroles"),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
    ("create", "admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("create", "", "namespaces"),
)
_TO_USE: Final = (
    ("create", "agents.example.com", "agenttypes"),
    ("get", "agents.example.com", "agenttypes"),
    ("list", "", "pods"),
    ("get", "", "pods/log"),
    ("list", "", "events"),
)
_MANY: Final = 4


def check_own_rights(surveyed: Surveyed) -> Iterator[Finding]:
    """Whether the user may install, where nothing is installed, and may use agents."""
    wanted = [attributes(*one, namespace=surveyed.agents_namespace) for one in _TO_USE]
    if not surveyed.is_installed:
        wanted += [attributes(*one) for one in _TO_INSTALL]
    reviews = [_review("SelfSubjectAccessReview", {"resourceAttributes": one}) for one in wanted]
    missing = _refused(surveyed.kubectl, reviews)
    if missing:
        cure = "ask an administrator for the role edit in this namespace"
        if not surveyed.is_installed:
            cure = "installing is for a cluster administrator; using agents needs the role edit in a namespace"
        yield Finding("rights", "error", f"you may not {_listed(missing)}", cure)
    else:
        what = "use agents" if surveyed.is_installed else "install Agentberth and use agents"
        yield Finding("rights", "ok", f"you may {what}")


def check_operator_rights(surveyed: Surveyed) -> Iterator[Finding]:
    """Whether the operator's account has each right that the release gives it, in the namespace of the agents."""
    if not surveyed.is_installed:
        return
    rules = find(without_definition(Choices()), "ClusterRole", OPERATOR)["rules"]
    user = f"system:serviceaccount:{surveyed.system}:{OPERATOR}"
    reviews = [
        _review("SubjectAccessReview", {"user": user, "groups": ["system:serviceaccounts"], "resourceAttributes": one})
        for rule in rules
        for one in _attributes_of(rule, surveyed.agents_namespace)
    ]
    try:
        missing = _refused(surveyed.kubectl, reviews)
    except CommandError as error:
        yield Finding(
            "operator-rights", "skipped", f"the operator's rights cannot be checked: {error}", "ask an administrator"
        )
        return
    if missing:
        cure = "agentberth install gives them back, or the RoleBinding for this namespace when only some are watched"
        yield Finding("operator-rights", "error", f"the operator may not {_listed(missing)}", cure)
    else:
        yield Finding("operator-rights", "ok", "the operator has its rights")


def attributes(verb: str, group: str, resource: str, *, namespace: str = "") -> Plain:
    """What a review asks about."""
    plain, _, part = resource.partition("/")
    found = {"verb": verb, "group": group, "resource": plain, "namespace": namespace}
    return {**found, **({"subresource": part} if part else {})}


def _attributes_of(rule: Plain, namespace: str) -> Iterator[Plain]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                yield attributes(verb, group, resource, namespace=namespace)


def _review(kind: str, spec: Plain) -> Plain:
    return {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}


def _refused(kubectl: Kubectl, reviews: list[Plain]) -> list[str]:
    text = kubectl.ask("create", "--validate=false", "--output", "json", "-f", "-", documents=reviews)
    answers = _one_after_the_other(text)
    return [_words(one["spec"]["resourceAttributes"]) for one in answers if not one["status"].get("allowed")]


def _one_after_the_other(text: str) -> Iterator[Plain]:
    """The documents of a text that has several, which `kubectl create` puts behind each other."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        found, end = decoder.raw_decode(text)
        yield found
        text = text[end:]


def _words(asked: Plain) -> str:
    resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
    return f"{asked['verb']} {'.'.join(filter(None, (resource, asked.get('group'))))}"


def _listed(missing: list[str]) -> str:
    more = f" and {len(missing) - _MANY} more" if len(missing) > _MANY else ""
    return f"{', '.join(missing[:_MANY])}{more}"
