from dataclasses import FrozenInstanceError, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_base.redaction import MASK
from agent_kit.errors import SettingsError
from agent_kit.kinds import kind_of
from agent_kit.settings import ServiceSettings, describe, help_text, list_settings, load, required, setting, settings


class Mode(StrEnum):
    FAST = "fast"
    SAFE = "safe"


@settings
class Example:
    """Every type of setting."""

    url: str = required("Where to.")
    retries: int = setting(3, "How often.", at_least=0, at_most=10)
    wait_s: float = setting(0.5, "How long.", at_least=0.1)
    verbose: bool = setting(False, "Say more.")
    mode: Mode = setting(Mode.FAST, "How.")
    dialect: Literal["a", "b"] = setting("a", "Which | that.")
    folder: Path = setting(Path("/x"), "Where.")
    names: tuple[str, ...] = setting((), "Who.")
    ports: tuple[int, ...] = setting((1, 2), "Which.", at_least=1)
    limit: int | None = setting(None, "At most 100%.", env="OTHER_LIMIT")
    key: str = setting("", "A key.", secret=True)
    internal: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.mode is Mode.SAFE and self.retries == 0:
            raise ValueError("AGENTBERTH_MODE=safe needs AGENTBERTH_RETRIES of at least 1")


def read(*argv: str, **environ: str) -> Example:
    return load(Example, argv, {"AGENTBERTH_URL": "u", **environ})


def problems_of(*argv: str, **environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        read(*argv, **environ)
    return caught.value.problems


def test_defaults_hold_when_nothing_is_given() -> None:
    assert read() == Example(url="u")
    assert read().ports == (1, 2)


def test_variables_are_read() -> None:
    got = read(
        AGENTBERTH_RETRIES="7",
        AGENTBERTH_WAIT_S="1.5",
        AGENTBERTH_VERBOSE="Yes",
        AGENTBERTH_MODE="safe",
        AGENTBERTH_DIALECT="b",
        AGENTBERTH_FOLDER="/y",
        AGENTBERTH_NAMES="a, b,,c",
        AGENTBERTH_PORTS="80,443",
        OTHER_LIMIT="9",
    )
    assert (got.retries, got.wait_s, got.verbose, got.mode, got.dialect) == (7, 1.5, True, Mode.SAFE, "b")
    assert (got.folder, got.names, got.ports, got.limit) == (Path("/y"), ("a", "b", "c"), (80, 443), 9)


def test_a_flag_wins_over_a_variable() -> None:
    assert read("--retries", "1", AGENTBERTH_RETRIES="2").retries == 1


def test_a_bad_variable_does_not_matter_behind_a_flag() -> None:
    assert read("--retries=1", AGENTBERTH_RETRIES="many").retries == 1


@pytest.mark.parametrize("argv,value", [(("--verbose",), True), (("--verbose=false",), False), ((), False)])
def test_a_switch_needs_no_value(argv: tuple[str, ...], *, value: bool) -> None:
    assert read(*argv).verbose is value


def test_an_empty_variable_is_not_set() -> None:
    assert read(AGENTBERTH_RETRIES="").retries == 3


@pytest.mark.parametrize(
    "name,text,allowed",
    [
        ("RETRIES", "ten", "a whole number from 0 up to 10"),
        ("RETRIES", "11", "a whole number from 0 up to 10"),
        ("RETRIES", "1_0", "a whole number from 0 up to 10"),
        ("RETRIES", "1.0", "a whole number from 0 up to 10"),
        ("WAIT_S", "nan", "a number from 0.1"),
        ("WAIT_S", "inf", "a number from 0.1"),
        ("WAIT_S", "0", "a number from 0.1"),
        ("VERBOSE", "maybe", "true or false"),
        ("MODE", "FAST", "one of fast, safe"),
        ("DIALECT", "c", "one of a, b"),
        ("PORTS", "80,x", "a whole number from 1; several are separated by commas"),
    ],
)
def test_a_bad_value_is_one_line_with_name_value_and_what_is_allowed(name: str, text: str, allowed: str) -> None:
    (problem,) = problems_of(**{f"AGENTBERTH_{name}": text})
    assert problem == f"AGENTBERTH_{name}={text!r} is not allowed: it must be {allowed}"


def test_all_problems_are_told_at_once() -> None:
    first, second = problems_of("--retries=x", AGENTBERTH_MODE="y")
    assert first.startswith("--retries='x'")
    assert second.startswith("AGENTBERTH_MODE='y'")


def test_a_missing_setting_says_how_to_give_it() -> None:
    with pytest.raises(SettingsError, match=r"AGENTBERTH_URL is not set: give it or --url, text\. Where to\."):
        load(Example, [], {})


def test_a_rule_over_several_settings() -> None:
    assert problems_of(AGENTBERTH_MODE="safe", AGENTBERTH_RETRIES="0") == (
        "AGENTBERTH_MODE=safe needs AGENTBERTH_RETRIES of at least 1",
    )


@pytest.mark.parametrize("argv", [("--retrie", "1"), ("--retries",), ("stray",)])
def test_unknown_and_incomplete_flags(argv: tuple[str, ...]) -> None:
    (problem,) = problems_of(*argv)
    assert problem.endswith("--help lists the flags")
    assert "\n" not in problem


def test_a_secret_is_not_shown() -> None:
    @settings
    class Vault:
        """A secret number."""

        pin: int = setting(4711, "Pin.", secret=True)

    with pytest.raises(SettingsError) as caught:
        load(Vault, [], {"AGENTBERTH_PIN": "c4nary"})
    assert "c4nary" not in str(caught.value)
    assert MASK in str(caught.value)
    assert "4711" not in describe(Vault) + help_text(Vault, "x") + repr(Vault())


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        read().retries = 1  # type: ignore[misc]


def test_the_reference_has_a_row_for_every_setting() -> None:
    head, _, *rows = describe(Example).splitlines()
    assert head == "| Variable | Flag | Default | Allowed | Meaning |"
    assert len(rows) == len(list_settings(Example)) == 11
    assert rows[1] == "| `AGENTBERTH_RETRIES` | `--retries` | `3` | a whole number from 0 up to 10 | How often. |"
    assert rows[5].endswith("| Which \\| that. |")
    assert "`1,2`" in rows[8]
    assert "`OTHER_LIMIT`" in rows[9]
    assert "`required`" in rows[0]
    assert "`false`" in rows[3]


def test_help_names_flag_and_variable() -> None:
    text = help_text(Example, "agent-example")
    assert text.startswith("usage: agent-example")
    assert "--retries" in text
    assert "AGENTBERTH_RETRIES" in text
    assert "100%" in text


@pytest.mark.parametrize("hint", [bytes, dict[str, str], list[int], tuple[int, str]])
def test_a_type_without_a_written_form_is_a_mistake_of_the_programmer(hint: object) -> None:
    with pytest.raises(TypeError, match="is not a type of setting"):
        kind_of(hint)


def test_bounds_on_text_are_a_mistake_of_the_programmer() -> None:
    @settings
    class Bounded:
        """Wrong."""

        x: str = setting("", "Odd.", at_least=1)

    with pytest.raises(TypeError, match="bounds are for numbers"):
        describe(Bounded)


def test_every_service_setting_has_a_valid_default() -> None:
    environ = {known.env: known.shown_default for known in list_settings(ServiceSettings) if known.default is not None}
    assert load(ServiceSettings, [], environ) == ServiceSettings()


@given(st.integers(min_value=0, max_value=10))
def test_whole_numbers_round_trip(number: int) -> None:
    assert read(AGENTBERTH_RETRIES=str(number)).retries == number
    assert read(f"--retries={number:+d}").retries == number


@given(st.floats(min_value=0.1, allow_nan=False, allow_infinity=False))
def test_numbers_round_trip(number: float) -> None:
    assert read(AGENTBERTH_WAIT_S=repr(number)).wait_s == number


@given(st.lists(st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1)))
def test_lists_round_trip(names: list[str]) -> None:
    kept = tuple(name.strip() for name in names if name.strip())
    assert read(AGENTBERTH_NAMES=",".join(names)).names == kept


@given(st.sampled_from(["RETRIES", "WAIT_S", "VERBOSE", "MODE", "DIALECT", "PORTS"]), st.text())
def test_any_text_is_a_value_or_one_line(name: str, text: str) -> None:
    variable = f"AGENTBERTH_{name}"
    try:
        got = read(**{variable: text})
    except SettingsError as error:
        (problem,) = error.problems
        assert problem.startswith(f"{variable}=")
        assert len(problem.splitlines()) == 1
    else:
        assert 0 <= got.retries <= 10
        assert got.wait_s >= 0.1
