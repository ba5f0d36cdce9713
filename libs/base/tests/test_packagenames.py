import pytest

from agent_base.packagenames import normalise_project


@pytest.mark.parametrize("name", ["Ruamel.Yaml_C", "ruamel-yaml-c", "ruamel._-yaml--c", "RUAMEL_YAML.C"])
def test_spellings_of_one_project_are_equal(name: str) -> None:
    assert normalise_project(name) == "ruamel-yaml-c"
