"""Bounded scalars and Kubernetes' own small types.

Every string, list and map of the API has a bound, because the API server prices each CEL rule by the largest
object it could meet.
"""

from decimal import Decimal
from ipaddress import ip_interface
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, WithJsonSchema

from agent_api.agenttype.rule import Matches

Runtime = Literal["python", "nodejs"]

DnsLabel = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63),
    Matches(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        "must be lower-case letters, digits and '-', and start and end with a letter or digit",
    ),
]
ObjectName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Matches(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
        "must be the name of a Kubernetes object: lower-case letters, digits, '-' and '.'",
    ),
]
VariableName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Matches(
        r"[A-Za-z_][A-Za-z0-9_]*",
        "must be a variable name: letters, digits and '_', not starting with a digit",
    ),
]
DataKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Matches(
        r"[.]?[-_a-zA-Z0-9][-._a-zA-Z0-9]*", "must be a key of a ConfigMap or Secret: letters, digits, '-', '_' and '.'"
    ),
]
Image = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(r"[^\s]+", "must be an image reference without spaces"),
]
Size = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32),
    Matches(r"[0-9]+(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?", "must be a size such as 512Mi or 2Gi"),
]
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}  # fmt: skip


def size_bytes(size: str) -> int:
    """A `Size` in bytes, rounded down."""
    number = size.rstrip("kMGTi")
    return int(Decimal(number) * _UNITS[size[len(number) :]])


Cidr = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    Matches(r"[0-9a-fA-F.:]+/[0-9]{1,3}", "must be a network such as 10.0.0.0/8"),
]


def is_network(text: str) -> bool:
    """Whether a `Cidr` is one, as CEL's isCIDR has it: no zone, no IPv4 in IPv6, no leading zeros."""
    try:
        network = ip_interface(text)
    except ValueError:
        return False
    return network.version == 4 or network.ip.ipv4_mapped is None


IntOrString = Annotated[int | str, WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": 63})]

RuntimeVersion = Annotated[
    str,
    StringConstraints(max_length=16),
    Matches(r"[0-9]+(\.[0-9]+){0,2}", 'must be a version such as "3.12" or "22" (quote it in YAML)'),
]
_FIRST_PART = r"([^/.\x00][^/\x00]*|\.[^/.\x00][^/\x00]*)"
_PART = rf"({_FIRST_PART}|\.\.[^/\x00]+)"
SharedPath = Annotated[
    str,
    StringConstraints(max_length=512),
    Matches(
        rf"/shared/({_PART}/)*{_PART}",
        "must be a file under /shared, without '.' or '..' parts",
    ),
]
RelativePath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(
        rf"({_PART}/)*{_PART}",
        "must be a relative path without '.' or '..' parts; it is taken from /shared",
    ),
]
# A pattern and no rule: the API server prices a rule by all the places where it could be asked.
VolumePath = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=rf"^{_FIRST_PART}(/{_PART})*$")]
WITHOUT_NUL = r"^[^\x00]*$"
"""A process gets no NUL character, neither in an argument nor in a variable: the container would not start."""
Argument = Annotated[str, StringConstraints(max_length=8192, pattern=WITHOUT_NUL)]
Arguments = Annotated[tuple[Argument, ...], Field(max_length=256)]
Text = Annotated[str, StringConstraints(max_length=1024)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]

KEY_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
KEY = rf"([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?{KEY_PART}"

FieldPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Matches(
        rf"metadata[.](name|namespace|uid|(labels|annotations)\['{KEY}'\])"
        r"|spec[.](nodeName|serviceAccountName)|status[.](hostIP|hostIPs|podIP|podIPs)",
        "must be metadata.name, .namespace, .uid, .labels['KEY'] or .annotations['KEY'], spec.nodeName or "
        ".serviceAccountName, status.hostIP, .hostIPs, .podIP or .podIPs",
    ),
]
LabelKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=317),
    Matches(
        KEY,
        "must be a label's key such as zone or example.com/zone",
    ),
]
LabelValue = Annotated[
    str,
    StringConstraints(max_length=63),
    Matches(f"({KEY_PART})?", "must be a label's value: letters, digits, '-', '_' and '.', quoted in YAML"),
]

KubernetesObject = Annotated[
    dict[str, Any],
    Field(max_length=64),
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True, "maxProperties": 64}),
]
