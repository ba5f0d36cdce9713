"""A parser that names an unknown option before it misses an argument: argparse alone asks for FILE first."""

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from agentberth.errors import UsageError

_NUMBER = re.compile(r"-\d+$|-\d*\.\d+$")


class Parser(argparse.ArgumentParser):
    """argparse's own, which raises UsageError for options that it does not know.

    `has_commands`: the options end at the first word that is none, and the rest is another parser's.
    """

    def __init__(self, *, has_commands: bool = False, **settings: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(**settings)
        self._has_commands = has_commands

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - overloaded there
        """Also called by `parse_args`, and for the words of a command."""
        self._refuse_unknown(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        own = takewhile(_looks_like_option, words) if self._has_commands else filter(_looks_like_option, words)
        for word in own:
            name = word.partition("=")[0]
            if not self._knows(name):
                raise UsageError(f"{self.prog}: unknown option {name}", cure=self._cure(name))

    def _knows(self, name: str) -> bool:
        """Long options may be shortened, and a short one may have others or its value behind it."""
        known = self._option_string_actions
        return name[:2] in known or any(each.startswith(name) for each in known)

    def _cure(self, name: str) -> str:
        listing = f"{self.prog} --help"
        close = difflib.get_close_matches(name, self._option_string_actions, n=1)
        return f"{close[0]}, or {listing} for all options" if close else f"{listing} for all options"


def _looks_like_option(word: str) -> bool:
    """As argparse sees it: a value may be a negative number, or have spaces."""
    return len(word) > 1 and word.startswith("-") and " " not in word and not _NUMBER.match(word)
