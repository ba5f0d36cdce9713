"""THREAT_MODEL.md names places in the code: each is there, or the page has been left behind."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLACES = sorted(set(re.findall(r"`(agent_\w+(?:\.\w+)+)`", (ROOT / "THREAT_MODEL.md").read_text())))


@pytest.mark.parametrize("place", PLACES)
def test_place_in_the_code_is_there(place: str) -> None:
    assert importlib.util.find_spec(place) is not None


def test_places_are_found_in_the_page() -> None:
    assert {
        "agent_render.network.policies",
        "agent_operator.status.hardening_denials",
        "agent_toolproxy.network.addresspolicy",
    } <= set(PLACES)
