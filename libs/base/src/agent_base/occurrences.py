"""Where a value is in a text, as a whole or begun at its end: in linear time, whatever others put into the text."""

from collections.abc import Iterator, Sequence
from typing import Final

_PROBE_CHARS: Final = 64
"""Compared first, so that a long value is not compared as a whole at each place."""
_MOST_COMPARED: Final = 64


def occurrences(value: str, text: str) -> Iterator[tuple[int, int]]:
    """The beginnings and ends of `value`, in order; where it overlaps itself at one distance, as one span.

    By `str.find`, which stays linear where a regular expression tries a long value again at each character.
    """
    at = text.find(value)
    while at >= 0:
        end = at + len(value)
        following = text.find(value, at + 1)
        if 0 <= following < end:
            repeated = value[at - following :]
            while text.startswith(repeated, end):
                end += len(repeated)
            following = text.find(value, end - len(value) + 1)
        yield at, end
        at = following


def begin_of_end(value: str, text: str) -> int:
    """Where the longest end of `text` begins with which `value` begins, without being there as a whole."""
    at = text.find(value[0], max(0, len(text) - len(value) + 1))
    compared = 0
    while at >= 0:
        if value.startswith(text[at : at + _PROBE_CHARS]):
            if value.startswith(text[at:]):
                return at
            compared += 1
            if compared > _MOST_COMPARED:
                return len(text) - length_of_end(value, text[at:])
        at = text.find(value[0], at + 1)
    return len(text)


def length_of_end(value: str, text: str) -> int:
    """The length of the longest end of `text` with which `value` begins, by Knuth, Morris and Pratt: linear."""
    borders = [0] * len(value)
    length = 0
    for at in range(1, len(value)):
        length = _extended(value, borders, length, value[at])
        borders[at] = length
    length = 0
    for char in text:
        length = _extended(value, borders, length, char)
    return length


def _extended(value: str, borders: Sequence[int], length: int, char: str) -> int:
    """The length of the match that ends in `char`, when the one before it was `length` long."""
    while length and value[length] != char:
        length = borders[length - 1]
    return length + (value[length] == char)
