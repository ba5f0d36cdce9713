"""The offers of all servers under one roof, and which server is meant by a name or a URI.

Prompts are named as tools are: server__prompt. A resource keeps its server's URI, since links in results and texts of
models have it; where two servers have the same one, the first in the configuration keeps it, and the other's is
server+URI. That form leads to the server that it names, whether or not anyone else has the URI.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent_toolproxy.mcp.export import export_name
from agent_toolproxy.mcp.messages import Json
from agent_toolproxy.offers.offer import Offer
from agent_toolproxy.offers.uritemplate import UriTemplate

_JOINT: Final = "+"
_SCHEME: Final = re.compile(r"[a-z][a-z0-9.-]*")
_NOT_IN_SCHEME: Final = re.compile(r"[^a-z0-9.-]")
_HASH_CHARS: Final = 8


@dataclass(frozen=True)
class Place:
    """Where something is: a server, and what it is called there."""

    server: str
    name: str


class Directory:
    """A snapshot of what servers offer, in the order of the configuration."""

    def __init__(self, offers: Iterable[tuple[str, Offer]]) -> None:
        self._offers = dict(offers)
        self._servers = {prefix_of(server): server for server in self._offers}
        self._prompts: dict[str, Place] = {}
        self._resources: dict[str, Place] = {}
        self._templates: dict[str, Place] = {}
        self._patterns: list[tuple[UriTemplate, str]] = []
        prompts, resources, templates = dict[str, Json](), dict[str, Json](), dict[str, Json]()
        for server, offer in self._offers.items():
            for prompt in offer.prompts:
                name = export_name(server, prompt["name"])
                self._prompts.setdefault(name, Place(server, prompt["name"]))
                prompts.setdefault(name, {**prompt, "name": name})
            for resource in offer.resources:
                uri = _enter(self._resources, Place(server, resource["uri"]))
                resources[uri] = {**resource, "uri": uri}
            for template in offer.templates:
                uri = _enter(self._templates, Place(server, template["uriTemplate"]))
                templates[uri] = {**template, "uriTemplate": uri}
                self._patterns.append((UriTemplate(template["uriTemplate"]), server))
        self.prompts = tuple(prompts[name] for name in sorted(prompts))
        self.resources = tuple(resources.values())
        self.templates = tuple(templates.values())

    def offer(self, server: str) -> Offer:
        """The offer of one server."""
        return self._offers.get(server, Offer())

    def find_prompt(self, name: str) -> Place | None:
        """The prompt that is shown under `name`."""
        return self._prompts.get(name)

    def find_template(self, template: str) -> Place | None:
        """The template that is shown as `template`."""
        return self._templates.get(template)

    def find_resource(self, uri: str) -> Place | None:
        """The server that a URI leads to: by its list, by the server's name before it, by its templates.

        What nobody lists is asked of a server that has resources, if it is the only one.
        """
        if (listed := self._resources.get(uri)) is not None:
            return listed
        prefix, joint, rest = uri.partition(_JOINT)
        if joint and (named := self._servers.get(prefix)) is not None:
            return Place(named, rest)
        if (made := next((owner for template, owner in self._patterns if template.matches(uri)), None)) is not None:
            return Place(made, uri)
        having = [name for name, offer in self._offers.items() if offer.resources or offer.templates]
        return Place(having[0], uri) if len(having) == 1 else None

    def show_uri(self, server: str, uri: str) -> str:
        """The URI under which a server's resource is read here."""
        found = self.find_resource(uri)
        return uri if found == Place(server, uri) else f"{prefix_of(server)}{_JOINT}{uri}"


def prefix_of(server: str) -> str:
    """A server's name as the begin of a URI's scheme; one that cannot be is made legal, and unique by a hash."""
    if _SCHEME.fullmatch(server):
        return server
    digest = hashlib.sha256(server.encode()).hexdigest()[:_HASH_CHARS]
    return f"s-{_NOT_IN_SCHEME.sub('-', server.lower())}-{digest}"


def _enter(table: dict[str, Place], place: Place) -> str:
    """The URI under which it is shown."""
    uri = place.name if place.name not in table else f"{prefix_of(place.server)}{_JOINT}{place.name}"
    table[uri] = place
    return uri
