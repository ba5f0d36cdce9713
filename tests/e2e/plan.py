"""The founding plan's manifests as they stand, but for what is nowhere: REPLACEMENTS is all of it."""

from dataclasses import dataclass

from e2e.place import ROOT

MANIFESTS = ROOT / "tests" / "manifests" / "valid"


@dataclass(frozen=True)
class Replacement:
    """A text that stands once in a manifest, and what the test applies instead; `{git}` is the test's repository."""

    manifest: str
    stands: str
    here: str
    why: str


REPLACEMENTS = (
    Replacement(
        "code-agent",
        "https://github.com/example/agent",
        "{git}",
        "there is no such repository: the test's server has it",
    ),
    Replacement("code-agent", 'version: "3.9"', 'version: "3.13"', "Debian has no Python 3.9 for the runtime's image"),
    Replacement(
        "tooled-agent",
        '"https://example.com/tools/custom-tool"',
        '"pypi:custom-tool==1.0"',
        "example.com has no tools, and a download must come from a public address: the test's index has it",
    ),
)
"""Images need none: the node asks the test's registry for those of docker.io. Packages need none: the platform's
settings name the test's index."""


def manifest(name: str, git: str) -> str:
    """A manifest of the plan for this machine."""
    text = (MANIFESTS / f"{name}.yaml").read_text()
    for one in REPLACEMENTS:
        if one.manifest == name:
            assert text.count(one.stands) == 1, f"{one.stands} stands {text.count(one.stands)} times in {name}"
            text = text.replace(one.stands, one.here.format(git=git))
    return text
