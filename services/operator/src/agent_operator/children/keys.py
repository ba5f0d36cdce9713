"""The keys of each agent's Pods: those in its ConfigMap, else those made last, else new ones.

A ConfigMap that somebody deletes is made again with the same keys as long as this operator lives. After that it gets
new ones, and the Pods are replaced, since their agents would show a token that is no longer good.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from agent_kube import Manifest, ObjectKey, Stores
from agent_operator.objects import AgentObject
from agent_operator.sources import CONFIGURED
from agent_render.identity import Identity
from agent_render.objects.podkeys import PodKeys, with_keys

REMEMBERED: Final = 20_000


class KeyRing:
    """One for the operator."""

    def __init__(self, stores: Stores, make: Callable[[], PodKeys] = PodKeys.new) -> None:
        self._stores = stores
        self._make = make
        self._known: OrderedDict[str, PodKeys] = OrderedDict()

    def of(self, obj: AgentObject) -> PodKeys:
        """The keys of an agent."""
        uid, name = obj.metadata.uid, _identity(obj).config
        live = self._stores[CONFIGURED].get(ObjectKey(obj.metadata.namespace, name))
        if live is not None and live.data.pod_key and live.metadata.controller_uid == uid:
            keys = PodKeys(live.data.pod_key)
        else:
            keys = self._known.get(uid) or self._make()
        self._known[uid] = keys
        self._known.move_to_end(uid)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return keys

    def seal(self, obj: AgentObject, children: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
        """`children` with the keys where they belong."""
        return with_keys(children, self.of(obj), _identity(obj).config)


def _identity(obj: AgentObject) -> Identity:
    return Identity(obj.metadata.name, obj.metadata.namespace)
