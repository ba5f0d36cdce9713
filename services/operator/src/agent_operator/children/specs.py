"""Specs as children: judged, rendered, and remembered for the passes that follow soon after.

An agent that starts is looked at four or five times within seconds, and its spec is the same each time.
"""

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from agent_api.agenttype import AgentType, Reason
from agent_api.problems import examine
from agent_kube import Manifest
from agent_operator.objects import AgentObject
from agent_operator.sources import AGENT_TYPES
from agent_operator.status.finding import Finding
from agent_render import NoPriceError, PlatformSettings, RenderError, render

REMEMBERED: Final = 256  # about 30 KiB each


@dataclass(frozen=True)
class Parsed:
    """An AgentType that can be carried out: its children and what is odd about it."""

    agent: AgentType
    rendered: tuple[Manifest, ...]
    unknown_settings: tuple[str, ...]


class SpecReader:
    """Reads specs by one platform's settings."""

    def __init__(self, platform: PlatformSettings, *, remembered: int = REMEMBERED) -> None:
        self._platforms = {have: platform.model_copy(update={"pod_monitors": have}) for have in (False, True)}
        self._limit = remembered
        self._known: OrderedDict[tuple[str, int, bool], Parsed | Finding] = OrderedDict()

    def read(self, obj: AgentObject, *, pod_monitors: bool = False) -> Parsed | Finding:
        """What `obj` asks for, or why it cannot be carried out. `pod_monitors`: whether the cluster has that API."""
        key = (obj.metadata.uid, obj.metadata.generation, pod_monitors)
        known = self._known.get(key)
        if known is None:
            self._known[key] = known = self._parse(obj, self._platforms[pod_monitors])
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return known

    def _parse(self, obj: AgentObject, platform: PlatformSettings) -> Parsed | Finding:
        """The spec as the API's models see it: an object may be older than the rules that would refuse it."""
        document = {
            "apiVersion": AGENT_TYPES.api_version,
            "kind": AGENT_TYPES.kind,
            "metadata": {"name": obj.metadata.name, "namespace": obj.metadata.namespace, "uid": obj.metadata.uid},
            "spec": json.loads(bytes(obj.spec)),
        }
        verdict = examine(document, newer_fields=True)
        if verdict.agent is None:
            first = verdict.errors[0]
            return Finding(Reason.INVALID, f"{first.field}: {first.message}")
        try:
            rendered = render(verdict.agent, platform)
        except NoPriceError as error:
            return Finding(Reason.NO_PRICE, str(error))
        except RenderError as error:
            return Finding(Reason.INVALID, str(error))
        except ValidationError as error:  # its own text repeats the input, which may hold a secret
            fault = error.errors(include_input=False, include_url=False)[0]
            return Finding(Reason.INVALID, f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}")
        return Parsed(verdict.agent, rendered, tuple(problem.field for problem in verdict.problems))
