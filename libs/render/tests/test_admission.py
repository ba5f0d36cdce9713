"""The admission policy: it restricts what the settings restrict, and nothing else."""

from agent_render import PlatformSettings, parse_settings
from agent_render.admission import admission_policy
from agent_render.choices import CHOICES
from agent_render.settings.allowed import Allowed


def test_settings_that_restrict_nothing_make_no_policy() -> None:
    assert admission_policy(PlatformSettings()) == ()


def test_a_list_makes_one_validation_for_each_field_it_restricts() -> None:
    policy, binding = admission_policy(parse_settings({"allowed": {"storageClasses": ["fast"]}}))

    messages = [validation["messageExpression"] for validation in policy["spec"]["validations"]]
    assert [message.split(":")[0] for message in messages] == ['"workspace.storageClass', '"memory.config.storageClass']
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]


def test_every_list_of_the_settings_restricts_a_field() -> None:
    for name in Allowed.model_fields:
        only = Allowed.model_validate({name: ()})
        assert [choice for choice in CHOICES if choice.permitted(only) is not None], name


def test_a_quote_in_a_name_stays_inside_of_its_string() -> None:
    policy, _ = admission_policy(parse_settings({"allowed": {"taints": ['a"] || true || ["']}}))

    assert 'v in ["a\\"] || true || [\\""]' in policy["spec"]["validations"][0]["expression"]
