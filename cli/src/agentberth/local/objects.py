"""ConfigMaps and Secrets that stand beside the AgentType in the manifests given."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agentberth.errors import ManifestError
from agentberth.manifest import Document


@dataclass(frozen=True)
class Objects:
    """What a Pod may refer to: data by kind and name, as bytes by key."""

    data: Mapping[tuple[str, str], Mapping[str, bytes]]

    @classmethod
    def of(cls, documents: Iterable[Document]) -> "Objects":
        """The ConfigMaps and Secrets among `documents`.

        Raises ManifestError for one whose data cannot be read.
        """
        found: dict[tuple[str, str], Mapping[str, bytes]] = {}
        for document in documents:
            data = document.data
            if isinstance(data, dict) and data.get("kind") in {"ConfigMap", "Secret"}:
                name = str(_part(document, "metadata").get("name", ""))
                found[data["kind"], name] = _content(document)
        return cls(found)

    def with_config_map(self, name: str, data: Mapping[str, str]) -> "Objects":
        """The same objects and one more ConfigMap."""
        return Objects({**self.data, ("ConfigMap", name): {k: v.encode() for k, v in data.items()}})

    def with_secret(self, name: str, data: Mapping[str, str]) -> "Objects":
        """The same objects and one more Secret, in the place of one of that name."""
        return Objects({**self.data, ("Secret", name): {k: v.encode() for k, v in data.items()}})

    def get(self, kind: str, name: str) -> Mapping[str, bytes]:
        """The data of an object.

        Raises ManifestError when the manifests do not hold it.
        """
        found = self.data.get((kind, name))
        if found is None:
            raise ManifestError(
                f'the agent refers to the {kind} "{name}", which is not in the files given',
                cure=f"put the {kind} into the manifest or into another file of the command: "
                "agentberth run agent.yaml other.yaml",
            )
        return found


def _content(document: Document) -> Mapping[str, bytes]:
    text = {key: str(value).encode() for key, value in _part(document, "stringData").items()}
    plain = _part(document, "data")
    if document.data["kind"] == "ConfigMap":
        binary = _decoded(document, _part(document, "binaryData"))
        return {**{key: str(value).encode() for key, value in plain.items()}, **binary}
    return {**_decoded(document, plain), **text}


def _part(document: Document, name: str) -> Mapping[str, Any]:
    """A mapping of the object, empty when it is left out."""
    part: Mapping[str, Any] = document.data.get(name) or {}
    if not isinstance(part, dict):
        line, column = document.line_of((name,))
        raise ManifestError(f"{document.file}:{line}:{column}: {name} of a {document.data['kind']} must be a mapping")
    return part


def _decoded(document: Document, values: Mapping[str, Any]) -> dict[str, bytes]:
    try:
        return {key: base64.b64decode(str(value), validate=True) for key, value in values.items()}
    except binascii.Error as error:
        line, _ = document.line_of(("data",))
        raise ManifestError(
            f"{document.file}:{line}: data of a Secret must be base64", cure="use stringData for plain text"
        ) from error
