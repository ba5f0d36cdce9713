"""The platform's `allowed` as a ValidatingAdmissionPolicy: a refusal when an AgentType is applied, not after.

Its expressions are made of the rows that rendering judges by. An update is judged when it changes the spec, so that
what was there before the policy can still be labelled and deleted.
"""

import json
from collections.abc import Iterator
from typing import Final

from agent_api import layout
from agent_render.allowed import HUB
from agent_render.choices import CHOICES, Choice
from agent_render.identity import Manifest
from agent_render.settings import PlatformSettings

NAME: Final = "agentberth-allowed"
_API: Final = "admissionregistration.k8s.io/v1"
_FIRST = "v.split('/')[0]"
_FULL_NAME = (
    f"!v.contains('/') ? '{HUB}/library/' + v"
    f" : {_FIRST} == 'localhost' || {_FIRST}.contains('.') || {_FIRST}.contains(':') ? v : '{HUB}/' + v"
)


def admission_policy(settings: PlatformSettings) -> tuple[Manifest, ...]:
    """The policy and its binding; nothing when the settings restrict nothing."""
    validations = list(_validations(settings))
    if not validations:
        return ()
    return (
        {
            "apiVersion": _API,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": NAME},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "resourceRules": [
                        {
                            "apiGroups": [layout.GROUP],
                            "apiVersions": ["*"],
                            "operations": ["CREATE", "UPDATE"],
                            "resources": ["agenttypes"],
                        }
                    ]
                },
                "matchConditions": [
                    {
                        "name": "the-spec-changes",
                        "expression": "request.operation == 'CREATE' || object.spec != oldObject.spec",
                    }
                ],
                "validations": validations,
            },
        },
        {
            "apiVersion": _API,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": NAME},
            "spec": {"policyName": NAME, "validationActions": ["Deny"]},
        },
    )


def _validations(settings: PlatformSettings) -> Iterator[Manifest]:
    for choice in CHOICES:
        permitted = choice.permitted(settings.allowed)
        if permitted is not None:
            refused = f"({choice.cel}).filter(v, !({_is_permitted(choice, permitted)}))"
            named = f"{choice.field}: the platform does not allow "
            allowed = f"; allowed: {', '.join(permitted) or 'none'}"
            yield {
                "expression": f"{refused}.size() == 0",
                "messageExpression": f"{_text(named)} + {refused}.join(', ') + {_text(allowed)}",
                "reason": "Forbidden",
            }


def _is_permitted(choice: Choice, permitted: tuple[str, ...]) -> str:
    """CEL: whether `v` is one of the values that are permitted."""
    exactly = f"v in {_list(permitted)}"
    if not (choice.is_image and permitted):
        return exactly
    beginnings = _list(tuple(f"{registry.rstrip('/')}/" for registry in permitted))
    return f"{exactly} || {beginnings}.exists(r, ({_FULL_NAME}).startsWith(r))"


def _list(values: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _text(value: str) -> str:
    """A CEL string: JSON's escapes are CEL's."""
    return json.dumps(value)
