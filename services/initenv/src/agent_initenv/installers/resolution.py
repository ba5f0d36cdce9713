"""Whether what was resolved is the newest, and if not, why.

Wheels only means that a resolver passes over every release that has none, and may end at one of years ago. That is
never done in silence: for a package that was asked for without an upper limit it is an error, for others a note.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent_api.initreport import InitFault
from agent_base.packagenames import normalise_project
from agent_base.programfault import ProgramFault, classify, summarise
from agent_initenv.errors import StepError

_LIMIT: Final = re.compile(r"(?:^|[^<>=!~])(?:==|<=?|~=)")
_SHOWN: Final = 8


@dataclass(frozen=True)
class Outdated:
    """A package of which a newer release is on the index; `is_source` when that has no wheel at all."""

    name: str
    version: str
    newest: str
    is_source: bool


def read_outdated(listing: str) -> dict[str, Outdated]:
    """By normalised name, from what `uv pip list --outdated --format=json` printed."""
    try:
        entries: list[dict[str, Any]] = json.loads(listing[listing.index("[") : listing.rindex("]") + 1])
        found = [_read_entry(entry) for entry in entries]
    except (ValueError, KeyError, TypeError):
        return {}
    return {each.name: each for each in found}


def _read_entry(entry: Mapping[str, Any]) -> Outdated:
    name = normalise_project(entry["name"])
    return Outdated(name, entry["version"], entry["latest_version"], entry.get("latest_filetype") == "sdist")


def name_of(requirement: str) -> str:
    """The normalised name in a checked requirement."""
    return normalise_project(re.split(r"[^\w.-]", requirement.strip())[0])


def has_upper_limit(requirement: str) -> bool:
    """Whether the author has said which releases are too new: `==`, `<`, `<=`, `~=` or an address."""
    return "://" in requirement or bool(_LIMIT.search(requirement.partition(";")[0]))


def review(
    requirements: Sequence[str],
    outdated: Mapping[str, Outdated],
    explain_absence: Callable[[str], str],
) -> list[str]:
    """Notes about packages that are not the newest. Raises StepError (NoWheel) for a fall back that nobody asked for.

    `explain_absence` tries a requirement such as `name==2.0` beside the others: what the resolver printed against it.
    """
    notes = []
    asked = {name_of(requirement): requirement for requirement in requirements}
    for name, each in list(outdated.items())[:_SHOWN]:
        place = f"{name} {each.version} is not the newest, {each.newest} is"
        if name not in asked:
            notes.append(f"{place}, as a source only" if each.is_source else place)
        elif has_upper_limit(asked[name]):
            notes.append(f"{place}: {asked[name]} was asked for")
        else:
            why = explain_absence(f"{name}=={each.newest}")
            if classify(why) is ProgramFault.NO_WHEEL:
                raise _fall_back(each, why)
            notes.append(f"{place}: {summarise(why)}")
    if len(outdated) > _SHOWN:
        notes.append(f"{len(outdated) - _SHOWN} more packages are not the newest")
    return notes


def _fall_back(each: Outdated, why: str) -> StepError:
    return StepError(
        InitFault.NO_WHEEL,
        f"{each.name} {each.version} would be installed although {each.newest} is the newest, because only wheels are "
        f"taken: {summarise(why)}",
        f"Ask for the older release by {each.name}=={each.version} if it will do, or set "
        "spec.agent.environment.sdk.allowBuilds: true.",
    )
