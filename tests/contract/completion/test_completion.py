"""The completion scripts in the shells that they are for."""

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

AGENTBERTH = Path(sys.executable).with_name("agentberth")


@functools.cache
def script(shell: str) -> str:
    return call(AGENTBERTH, "completion", shell)


def completion(shell: str, folder: Path) -> Path:
    file = folder / "_agentberth"
    file.write_text(script(shell))
    return file


def call(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def by_bash(line: str, folder: Path, first: str) -> str:
    del first
    words = line.split(" ")
    program = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _agentberth; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return call("bash", "-c", program, "bash", completion("bash", folder), *words)


def by_fish(line: str, folder: Path, first: str) -> str:
    del first
    return call("fish", "--no-config", "-c", f"source {completion('fish', folder)}; complete -C '{line}'")


def by_zsh(line: str, folder: Path, first: str) -> str:
    """In an interactive shell, as completion has no other: a key lists what there is, and a marker follows it.

    The marker waits for `first`, as zsh shows no list while more is being typed.
    """
    file = completion("zsh", folder)
    program = f"""
        zmodload zsh/zpty
        zpty shell zsh --no-rcs -i
        zpty -w shell "PROMPT= ; fpath=({file.parent} \\$fpath); autoload -U compinit; compinit -u -D"
        zpty -w shell "LISTMAX=999; bindkey '^I' list-choices; print rea''dy"
        zpty -r -m shell text '*ready*'
        zpty -w -n shell '{line}'$'\\t'
        zpty -r -m shell list '*{first}*'
        zpty -w -n shell $'\\C-u'"print do''ne"$'\\n'
        zpty -r -m shell rest '*done*'
        print -r -- "$list$rest"
        zpty -d shell
    """
    return call("zsh", "--no-rcs", "-c", program)


@pytest.mark.parametrize("complete", [by_bash, by_fish, by_zsh])
@pytest.mark.parametrize(
    "line, there, missing",
    [
        ("agentberth ", ["check", "install", "uninstall", "completion"], ["--namespace"]),
        ("agentberth check --", ["--namespace", "--strict", "--output"], ["--registry"]),
        ("agentberth check --output ", ["json", "text"], ["yaml"]),
        ("agentberth run --", ["--mock-llm", "--record"], ["--replay-report", "SUPPRESS"]),
        ("agentberth tools ", ["list", "diff", "approve"], []),
    ],
)
def test_a_shell_completes_commands_options_and_values(
    complete: Callable[[str, Path, str], str], line: str, there: list[str], missing: list[str], tmp_path: Path
) -> None:
    text = complete(line, tmp_path, there[0])

    for word in there:
        assert word in text, text
    for word in missing:
        assert word not in text, text


def test_an_unknown_shell_is_told_which_there_are() -> None:
    done = subprocess.run([AGENTBERTH, "completion", "tcsh"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert all(shell in done.stderr for shell in ("bash", "zsh", "fish"))
