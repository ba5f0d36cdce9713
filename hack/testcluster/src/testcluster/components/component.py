"""A process of the cluster, by the name people use for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Component:
    """A name, which is also the name of its log, and the command line that starts it."""

    name: str
    argv: tuple[str, ...]
