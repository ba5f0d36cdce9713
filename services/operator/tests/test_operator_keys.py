"""The keys of each agent's Pods, over the operator's restarts and the loss of a ConfigMap."""

from itertools import count
from types import SimpleNamespace
from typing import Any

from agent_kube import ObjectKey
from agent_operator.children.keys import KeyRing
from agent_operator.objects import ConfigData, ConfigObject
from agent_operator.sources import CONFIGURED
from agent_render.objects.podkeys import PodKeys

AGENT: Any = SimpleNamespace(metadata=SimpleNamespace(uid="u1", name="web", namespace="agents"))
OTHER: Any = SimpleNamespace(metadata=SimpleNamespace(uid="u2", name="other", namespace="agents"))


def ring(**live: str) -> KeyRing:
    """A ring beside a ConfigMap `web-berth`, of `owner` and with `key`, when they are given."""
    numbers = count()
    objects: dict[ObjectKey, ConfigObject] = {}
    if live:
        found: Any = SimpleNamespace(
            metadata=SimpleNamespace(controller_uid=live["owner"]), data=ConfigData(live["key"])
        )
        objects[ObjectKey("agents", "web-berth")] = found
    stores: Any = {CONFIGURED: objects}
    return KeyRing(stores, lambda: PodKeys(f"made-{next(numbers)}"))


def test_a_restarted_operator_goes_on_with_the_keys_in_the_config_map() -> None:
    assert ring(owner="u1", key="kept").of(AGENT) == PodKeys("kept")


def test_keys_in_a_config_map_of_somebody_else_are_not_believed() -> None:
    assert ring(owner="u2", key="theirs").of(AGENT) == PodKeys("made-0")
    assert ring(owner="", key="theirs").of(AGENT) == PodKeys("made-0")


def test_a_config_map_that_is_gone_is_made_again_with_the_same_keys() -> None:
    keys = ring()
    assert keys.of(AGENT) == keys.of(AGENT) == PodKeys("made-0")


def test_agents_do_not_share_keys() -> None:
    keys = ring()
    assert keys.of(AGENT) != keys.of(OTHER)
