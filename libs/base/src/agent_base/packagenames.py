"""Names of Python projects, as indexes compare them."""

import re


def normalise_project(name: str) -> str:
    """`name` as PEP 503 normalises it: `Ruamel.Yaml_C` and `ruamel-yaml-c` are one project."""
    return re.sub(r"[-_.]+", "-", name).lower()
