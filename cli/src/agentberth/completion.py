"""Completion scripts from the parser itself, so that none can know another command line than the program's.

The words are in the script: a key press starts no Python. Where a value is neither a choice nor an option, the shell
completes files.
"""

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

PROGRAM = "agentberth"


@dataclass(frozen=True)
class Option:
    """An option, or with no names a positional argument: `choices` are its values, if they are few and known."""

    names: tuple[str, ...]
    choices: tuple[str, ...]
    takes_value: bool
    is_repeated: bool
    about: str


@dataclass(frozen=True)
class Command:
    """A command with its options and positional arguments."""

    name: str
    about: str
    options: tuple[Option, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """All that may be the next word, apart from files."""
        return tuple(word for one in self.options for word in (one.names or one.choices))


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script for bash, zsh or fish."""
    commands = tuple(_commands(parser))
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)


def _commands(parser: argparse.ArgumentParser) -> Iterator[Command]:
    # argparse has no public way to a parser's arguments.
    (group,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001
    abouts = {one.dest: one.help or "" for one in group._choices_actions}  # noqa: SLF001 - see above
    for name, inner in group.choices.items():
        shown = [action for action in inner._actions if action.help != argparse.SUPPRESS]  # noqa: SLF001 - see above
        options = tuple(map(_option, shown))
        yield Command(name, abouts[name], options)


def _option(action: argparse.Action) -> Option:
    choices = tuple(map(str, action.choices or ()))
    repeated = action.nargs in ("+", "*")
    return Option(tuple(action.option_strings), choices, action.nargs != 0, repeated, action.help or "")


def _values(commands: tuple[Command, ...]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(command, option, its choices) for each name of an option that has some."""
    for command in commands:
        for option in command.options:
            yield from ((command.name, name, option.choices) for name in option.names if option.choices)


def _bash(commands: tuple[Command, ...]) -> str:
    names = " ".join(command.name for command in commands)
    words = "\n".join(f"        {command.name}) words='{' '.join(command.words)}' ;;" for command in commands)
    values = "\n".join(
        f"        {command}:{option}) words='{' '.join(choices)}' ;;" for command, option, choices in _values(commands)
    )
    return f"""\
# Completion of {PROGRAM} for bash: source <({PROGRAM} completion bash)
_{PROGRAM}() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words=''
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='{names} --help --version'
    else
        case "${{COMP_WORDS[1]}}" in
{words}
        esac
        case "${{COMP_WORDS[1]}}:$before" in
{values}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o bashdefault -o default -F _{PROGRAM} {PROGRAM}
"""


def _zsh(commands: tuple[Command, ...]) -> str:
    described = "\n".join(f"        {_described(command.name, command.about)}" for command in commands)
    cases = "\n".join(f"        {command.name}) _arguments {_zsh_arguments(command)} ;;" for command in commands)
    return f"""\
#compdef {PROGRAM}
# Completion of {PROGRAM} for zsh: {PROGRAM} completion zsh > "${{fpath[1]}}/_{PROGRAM}"
_{PROGRAM}() {{
    local -a commands
    commands=(
{described}
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
{cases}
    esac
}}
if [[ $funcstack[1] == _{PROGRAM} ]]; then _{PROGRAM} "$@"; else compdef _{PROGRAM} {PROGRAM}; fi
"""


def _zsh_arguments(command: Command) -> str:
    return " ".join(shlex.quote(text) for option in command.options for text in _zsh_specs(option))


def _zsh_specs(option: Option) -> Iterator[str]:
    value = f"({' '.join(option.choices)})" if option.choices else "_files"
    if not option.names:
        yield f"{'*' if option.is_repeated else ''}:argument:{value}"
    about = option.about.translate(str.maketrans("[]:", "() "))
    for name in option.names:
        yield f"{name}[{about}]" + (f":value:{value}" if option.takes_value else "")


def _described(name: str, about: str) -> str:
    return shlex.quote(f"{name}:{about.replace(':', ' ')}")


def _fish(commands: tuple[Command, ...]) -> str:
    lines = [f"# Completion of {PROGRAM} for fish: ~/.config/fish/completions/{PROGRAM}.fish"]
    first = f"complete -c {PROGRAM} -n __fish_use_subcommand -f"
    lines += [f"{first} -a {command.name} -d {_fish_text(command.about)}" for command in commands]
    for command in commands:
        within = f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {command.name}'"
        lines += [f"{within} {flags}" for option in command.options for flags in _fish_flags(option)]
    return "\n".join(lines) + "\n"


def _fish_flags(option: Option) -> Iterator[str]:
    if not option.names:
        if option.choices:
            yield f"-f -a {_fish_text(' '.join(option.choices))}"
        return
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    values = f" -x -a {_fish_text(' '.join(option.choices))}" if option.choices else " -r" if option.takes_value else ""
    yield f"{names}{values} -d {_fish_text(option.about)}"


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
