"""What a recorded or replayed run came to: for the person at the terminal, and for `agentberth test` as JSON."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from agent_api.listprices import Price
from agentberth.errors import CommandError
from agentberth.replay.deck import Deck
from agentberth.replay.usage import Usage, usage_of
from agentberth.terminal import Terminal

_MOST_NAMED = 5


def summarise(deck: Deck, notes: Terminal | None) -> None:
    """Says what was recorded, or what of the cassette was not asked for. Raises CommandError after a miss."""
    if deck.recorder is not None and notes is not None:
        count = len(deck.recorder.recordings)
        notes.line(f"{count} recording{'s'[: count != 1]} in {deck.tape.file}")
        if deck.recorder.dropped:
            notes.line(f"{deck.recorder.dropped} more were too large, or too many, to be kept")
    if deck.player is None:
        return
    if deck.player.misses:
        raise CommandError(
            f"{deck.tape.file}: {deck.player.misses[0].text()}",
            cure=f"correct the agent; or, if the change is intended, record it again with --record {deck.tape.file}",
        )
    unused = [asked.title for asked in deck.player.unused()]
    if unused and notes is not None:
        notes.line(f"{notes.paint('note:', 'yellow')} recorded, and not asked for: {listed(unused)}")


def listed(titles: list[str]) -> str:
    """A few of `titles`, and how many more there are."""
    more = f", and {len(titles) - _MOST_NAMED} more" if len(titles) > _MOST_NAMED else ""
    return ", ".join(titles[:_MOST_NAMED]) + more


def write_report(file: Path, deck: Deck, prices: Mapping[str, Price]) -> None:
    """What a test compares. Raises CommandError when `file` cannot be written."""
    player = deck.player
    if player is None:
        return
    used = [usage_of(take, prices) for take in player.played if take.side == "models"]
    report = {
        "tools": [asked.tool for asked in player.asked if asked.tool],
        "models": [asked.model for asked in player.asked if asked.model],
        "misses": [miss.text() for miss in player.misses],
        "unused": [asked.title for asked in player.unused()],
        "tokens": sum(each.input + each.output for each in used if each),
        "usd": _sum(used),
    }
    try:
        file.write_text(json.dumps(report))
    except OSError as error:
        raise CommandError(f"{file}: cannot be written: {error.strerror}") from error


def _sum(used: Iterable[Usage | None]) -> float | None:
    """None when the price of an answer is not known."""
    total = 0.0
    for each in used:
        if each is not None and each.usd is None:
            return None
        total += each.usd or 0.0 if each else 0.0
    return total
