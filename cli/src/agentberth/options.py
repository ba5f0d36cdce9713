"""A parser whose every error is one line and what to do.

An unknown option or command is named, with the nearest known one, before a missing argument is: argparse alone asks
for FILE first, and prints its usage.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import filterfalse, takewhile
from typing import Any, NoReturn

from agentberth.errors import UsageError

_NUMBER = re.compile(r"-\d+$|-\d*\.\d+$")


class Parser(argparse.ArgumentParser):
    """argparse's own, which raises UsageError for what it does not understand."""

    _commands: "argparse._SubParsersAction[Any] | None" = None

    def add_subparsers(self, **settings: Any) -> Any:  # noqa: ANN401 - argparse's own
        """Also: the options of this parser end at the first word that is none, and the rest is another parser's."""
        self._commands = super().add_subparsers(**settings)
        return self._commands

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - overloaded there
        """Also called by `parse_args`, and for the words of a command."""
        words = sys.argv[1:] if args is None else args
        self._refuse_unknown_options(words)
        self._refuse_unknown_command(words)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """What argparse has to say."""
        raise UsageError(f"{self.prog}: {message}", cure=f"{self.prog} --help")

    def _refuse_unknown_options(self, words: Sequence[str]) -> None:
        own = takewhile(_looks_like_option, words) if self._commands else filter(_looks_like_option, words)
        for word in own:
            name = word.partition("=")[0]
            if not self._knows(name):
                known = self._option_string_actions
                raise UsageError(f"{self.prog}: unknown option {name}", cure=self._cure(name, known, "options"))

    def _refuse_unknown_command(self, words: Sequence[str]) -> None:
        if self._commands is None:
            return
        name = next(filterfalse(_looks_like_option, words), None)
        known = self._commands.choices
        if name is not None and name not in known:
            raise UsageError(f"{self.prog}: unknown command {name}", cure=self._cure(name, known, "commands"))

    def _knows(self, name: str) -> bool:
        """Long options may be shortened, and a short one may have others or its value behind it."""
        known = self._option_string_actions
        return name[:2] in known or any(each.startswith(name) for each in known)

    def _cure(self, name: str, known: Iterable[str], what: str) -> str:
        listing = f"{self.prog} --help for all {what}"
        close = difflib.get_close_matches(name, known, n=1)
        return f"{close[0]}, or {listing}" if close else listing


def _looks_like_option(word: str) -> bool:
    """As argparse sees it: a value may be a negative number, or have spaces."""
    return len(word) > 1 and word.startswith("-") and " " not in word and not _NUMBER.match(word)
