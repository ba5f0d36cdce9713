import pytest

from agent_base.printable import printable


@pytest.mark.parametrize(
    "text, shown",
    [
        ("as it is: Größe 日本", "as it is: Größe 日本"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;never ended", ""),
        ("\x1bc cleared", " cleared"),
        ("up\rdate\nand\x00more\x9b31m", "up date and more 31m"),
        ("safe\u202egnp.exe\u2066", "safe gnp.exe "),
        ("lone \ud800 surrogate", "lone   surrogate"),
    ],
)
def test_only_what_a_terminal_shows_as_it_is_stays(text: str, shown: str) -> None:
    assert printable(text, 100) == shown


def test_a_long_text_is_cut_and_says_so() -> None:
    assert printable("x" * 1000, 10) == "xxxxxxx..."
    assert printable("x" * 10, 10) == "x" * 10


def test_hostile_escapes_cost_no_more_than_their_length() -> None:
    assert len(printable("\x1b]" * 1_000_000, 4096)) <= 4096
