"""A settings document is laid over the defaults, and its faults are named together."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_render import PlatformSettings, SettingsError, parse_settings

BUILT_IN = PlatformSettings()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def faults(document: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as error:
        parse_settings(document)
    return {problem.field: problem.message for problem in error.value.problems}


@pytest.mark.parametrize("document", [None, {}, {"images": None}, {"images": {}, "network": {"dns": None}}])
def test_what_is_not_said_is_built_in(document: Any) -> None:
    assert parse_settings(document) == BUILT_IN


def test_a_field_of_a_section_leaves_its_neighbours_as_they_are() -> None:
    settings = parse_settings(
        {
            "runtimes": {"python": {"defaultVersion": "3.12"}},
            "profiles": {"small": {"agent": {"cpu": "10m"}}},
            "network": {"dns": {"ports": [5353]}},
        }
    )

    assert settings.runtimes.python == BUILT_IN.runtimes.python.model_copy(update={"default_version": "3.12"})
    assert settings.runtimes.nodejs == BUILT_IN.runtimes.nodejs
    assert settings.profiles["small"].agent == BUILT_IN.profiles["small"].agent.model_copy(update={"cpu": "10m"})
    assert settings.profiles["large"] == BUILT_IN.profiles["large"]
    assert settings.network.dns.pod_labels == BUILT_IN.network.dns.pod_labels
    assert settings.network.dns.ports == (5353,)


def test_lists_and_maps_of_free_keys_are_replaced_as_a_whole() -> None:
    labels = {"dns.operator.openshift.io/daemonset-dns": "default"}

    settings = parse_settings({"network": {"dns": {"podLabels": labels}, "publicPorts": []}})

    assert settings.network.dns.pod_labels == labels
    assert settings.network.public_ports == ()


def test_all_faults_are_named_at_once_with_the_field_that_was_meant() -> None:
    document = {
        "imges": {},
        "images": {"initenv": 1, "pull_policy": "Always"},
        "network": {"blockedCidrs": ["10.0.0.0/40"], "dns": {"ports": [0]}},
        "catalogue": {"jq": {"nam": "jq"}},
    }

    assert faults(document) == {
        "imges": 'unknown field: did you mean "images"?',
        "images.initenv": 'must be a string: quote it, as in "3.12"',
        "images.pull_policy": 'unknown field: did you mean "pullPolicy"?',
        "network.blockedCidrs[0]": "'10.0.0.0/40' does not appear to be an IPv4 or IPv6 network",
        "network.dns.ports[0]": "must be at least 1",
        "catalogue.jq.name": "is required",
        "catalogue.jq.nam": 'unknown field: did you mean "name"?',
    }


@pytest.mark.parametrize("document", ["text", ["images"], 7, True])
def test_a_document_that_is_no_mapping_is_refused(document: Any) -> None:
    assert "must be a mapping" in faults(document)[""]


@given(
    document=JSON | st.dictionaries(st.sampled_from(sorted(PlatformSettings.model_json_schema()["properties"])), JSON)
)
def test_any_document_is_taken_or_refused_with_a_place(document: Any) -> None:
    try:
        outcome: Any = parse_settings(document)
    except SettingsError as error:
        outcome = error.problems

    assert isinstance(outcome, PlatformSettings) or (outcome and all(problem.message for problem in outcome))


def test_a_profile_of_the_platforms_own_stands_beside_those_that_are_built_in() -> None:
    agent = {"cpu": "8", "memory": "32Gi", "memoryLimit": "64Gi"}

    profiles = parse_settings({"profiles": {"huge": {"agent": agent}}}).profiles

    assert sorted(profiles) == ["huge", "large", "medium", "small"]
    assert profiles["huge"].agent.cpu_limit == ""
    assert profiles["huge"].memory == BUILT_IN.profiles["small"].memory


@pytest.mark.parametrize(
    "document, field, message",
    [
        ({"sharedSize": "banana"}, "sharedSize", "must be a size such as 512Mi or 2Gi"),
        ({"profiles": {"small": {"agent": {"memory": "1 Gi"}}}}, "profiles.small.agent.memory", "Kubernetes quantity"),
        ({"profiles": {"small": {"agent": {"cpu": "2"}}}}, "profiles.small.agent", "cpu 2 is more than its limit 1"),
        ({"profiles": {"huge": {}}}, "profiles.huge.agent", "is required"),
        ({"pythonIndexUrl": "https://me:secret@pypi.example.com/simple"}, "pythonIndexUrl", "without user or password"),
        ({"runtimes": {"python": {"image": "python:{flavor}"}}}, "runtimes.python", "not {flavor}"),
        ({"images": {"initenv": ""}}, "images.initenv", "at least 1"),
    ],
)
def test_a_value_is_judged_by_what_it_is_for(document: dict[str, object], field: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings(document)

    (problem,) = error.value.problems
    assert problem.field == field
    assert message in problem.message
    assert "secret@" not in str(error.value)
