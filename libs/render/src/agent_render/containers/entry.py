"""How code starts in an image of the platform's runtime table: below a small init, the container's first process.

The kernel does not apply the default action of a signal to the first process of a container, so a program that has no
handler of its own would ignore SIGTERM until it is killed, and nobody would collect the processes that it orphans.
The shell of the image does both: it hands signals on, collects what ends, and ends with the program's own exit code.
"""

from typing import Final

SCRIPT: Final = """\
"$@" <&0 &
child=$!
for name in TERM INT HUP QUIT USR1 USR2; do trap "told=yes; kill -s $name $child 2>/dev/null" "$name"; done
while told=; wait "$child"; code=$?; [ -n "$told" ]; do :; done
exit "$code"
"""
"""`wait` returns when a signal has been handed on, and is then called again for the program's own end."""

_PREFIX: Final = ("sh", "-c", SCRIPT, "init")


def below_init(command: tuple[str, ...]) -> tuple[str, ...]:
    """`command` as the child of the init."""
    return (*_PREFIX, *command)


def without_init(command: tuple[str, ...]) -> tuple[str, ...]:
    """The program itself, where something else sees to signals and orphans."""
    return command[len(_PREFIX) :] if command[: len(_PREFIX)] == _PREFIX else command
