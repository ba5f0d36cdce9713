"""Quantities as Kubernetes writes them, and the requests and limits that are made of them.

The API server parses them into numbers; here a pattern says what is one and `amount_of` gives the number, so that a
rule can compare two of them.
"""

import re
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints, WithJsonSchema

from agent_api.agenttype.rule import ApiModel, Rule, cel_list

QUANTITY_PATTERN = r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?"
QUANTITY_CHARS = 32

QuantityValue = Annotated[int | str, WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": QUANTITY_CHARS})]
ResourceMap = Annotated[dict[Annotated[str, StringConstraints(max_length=128)], QuantityValue], Field(max_length=16)]

DIVISIBLE = ("cpu", "memory", "ephemeral-storage")
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DEVICE = rf"{_LABEL}([.]{_LABEL})*/[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
_KUBERNETES_OWN = "([^/]*[.])?kubernetes[.]io/.*"
_QUANTITY = re.compile(QUANTITY_PATTERN)
_PARTS = re.compile(r"\+?(?P<number>[0-9.]+)(?P<unit>.*)")
_BINARY = {unit: Decimal(1024**power) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
_DECIMAL = {
    unit: Decimal(1000) ** power for power, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)
}
_UNITS = {**_BINARY, **_DECIMAL}


def is_quantity(value: int | str) -> bool:
    """Whether Kubernetes takes `value` for an amount of a resource."""
    return len(str(value)) <= QUANTITY_CHARS and _QUANTITY.fullmatch(str(value)) is not None


def amount_of(value: int | str) -> Decimal:
    """The number that a quantity stands for. Raises ValueError for what is none."""
    parts = _PARTS.fullmatch(str(value)) if is_quantity(value) else None
    if parts is None:
        raise ValueError(f"{value} is not a quantity")
    number, unit = Decimal(parts["number"]), parts["unit"]
    return number * _UNITS[unit] if unit in _UNITS else number.scaleb(int(unit[1:]))


def _is_resource(name: str) -> bool:
    device = re.fullmatch(_DEVICE, name) and not re.fullmatch(_KUBERNETES_OWN, name)
    return name in DIVISIBLE or bool(device and not name.startswith("requests."))


def _fits(name: str, request: int | str, limit: int | str) -> bool:
    """What is no quantity is another rule's fault."""
    if not (is_quantity(request) and is_quantity(limit)):
        return True
    first, second = amount_of(request), amount_of(limit)
    return first <= second if name in DIVISIBLE else first == second


def _rules_of(side: str) -> tuple[Rule, ...]:
    amounts = f"!has(self.{side}) || self.{side}.all(k, "
    return (
        Rule(
            message=f"a resource is one of {', '.join(DIVISIBLE)}, or a device with its domain such as nvidia.com/gpu",
            reason="The API server would refuse every Pod.",
            cel=f"{amounts}k in {cel_list(DIVISIBLE)} || (k.matches('^{_DEVICE}$') "
            f"&& !k.matches('^{_KUBERNETES_OWN}$') && !k.startsWith('requests.')))",
            holds=lambda r: all(map(_is_resource, getattr(r, side))),
            field=side,
        ),
        Rule(
            message='amounts must be Kubernetes quantities such as 500m, "2" or 1.5Gi, without spaces',
            reason="The API server would refuse every Pod.",
            cel=f"{amounts}string(self.{side}[k]).matches(r'^({QUANTITY_PATTERN})$'))",
            holds=lambda r: all(map(is_quantity, getattr(r, side).values())),
            field=side,
        ),
        Rule(
            message="a device is counted in whole numbers",
            reason="The API server would refuse every Pod.",
            cel=f"{amounts}k in {cel_list(DIVISIBLE)} || !string(self.{side}[k]).matches('[^0-9]'))",
            holds=lambda r: all(
                name in DIVISIBLE or str(value).isdecimal() for name, value in getattr(r, side).items()
            ),
            field=side,
        ),
    )


class Resources(ApiModel):
    """Requests and limits of one container; what is not set comes from the profile."""

    requests: ResourceMap = Field(default_factory=dict, description="What the scheduler reserves, by resource.")
    limits: ResourceMap = Field(default_factory=dict, description="What the container may use at most, by resource.")

    rules: ClassVar = (
        *_rules_of("requests"),
        *_rules_of("limits"),
        Rule(
            message="a request is more than its limit, or a device's request is not its limit",
            reason="The API server would refuse every Pod.",
            cel="!has(self.requests) || !has(self.limits) || self.requests.all(k, !(k in self.limits) "
            "|| !isQuantity(string(self.requests[k])) || !isQuantity(string(self.limits[k])) "
            f"|| (k in {cel_list(DIVISIBLE)} "
            "? !quantity(string(self.requests[k])).isGreaterThan(quantity(string(self.limits[k]))) "
            ": quantity(string(self.requests[k])).compareTo(quantity(string(self.limits[k]))) == 0))",
            holds=lambda r: all(
                _fits(name, value, r.limits[name]) for name, value in r.requests.items() if name in r.limits
            ),
            field="requests",
        ),
    )
