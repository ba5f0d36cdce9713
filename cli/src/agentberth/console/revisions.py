"""Two specs of one agent beside each other: the present one, and those with which the operator knows that it worked."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from agent_api.agenttype.revisions import differing, lasting
from agentberth.cluster.rollback import Revision, revisions_of
from agentberth.console.view import RevisionsView, RevisionView
from agentberth.yamlout import dump

PRESENT: Final = "present"
_MOST_LINES: Final = 2000
_LONGEST_LINE_CHARS: Final = 400
_MOST_PATHS: Final = 20


def revisions_view(
    agent: Mapping[str, Any], objects: Sequence[Mapping[str, Any]], older: str, newer: str, notes: Sequence[str]
) -> RevisionsView:
    """`older` and `newer` are numbers, or PRESENT; what is empty or not there is chosen: the last that differs."""
    spec = lasting(agent["spec"])
    kept = revisions_of(agent, objects)
    specs = {PRESENT: spec, **{str(each.number): each.spec for each in kept}}
    differ = [str(each.number) for each in kept if each.spec != spec]
    chosen_newer = newer if newer in specs else PRESENT
    chosen_older = older if older in specs else next(iter(differ), PRESENT)
    return RevisionsView(
        revisions=[_view(each, spec) for each in kept],
        older=chosen_older,
        newer=chosen_newer,
        lines=tuple(_lines(specs[chosen_older], specs[chosen_newer])),
        notes=notes,
    )


def _view(kept: Revision, spec: Mapping[str, Any]) -> RevisionView:
    paths = differing(spec, kept.spec)
    return RevisionView(str(kept.number), kept.kept_at, paths[:_MOST_PATHS], len(paths) > _MOST_PATHS)


def _lines(older: Mapping[str, Any], newer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each with its sign: `-`, `+`, a blank, or `@` where lines that are the same are left out."""
    before, after = (dump([dict(spec)]).splitlines() for spec in (older, newer))
    found = difflib.unified_diff(before[:_MOST_LINES], after[:_MOST_LINES], n=3, lineterm="")
    for at, line in enumerate(found):
        if at > 1:  # after the two lines with the names of files
            yield (line[0], "" if line[0] == "@" else line[1:][:_LONGEST_LINE_CHARS])
    if max(len(before), len(after)) > _MOST_LINES:
        yield ("@", f"only the first {_MOST_LINES} lines are compared")
