import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_toolproxy.boundedjson import DEEPEST, MOST_VALUES, dump_json, is_deeper, load_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_of_reasonable_size_is_read_as_it_was_written(value: Any) -> None:
    assert load_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text,reason",
    [
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "deep"),
        ('{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1), "deep"),
        ("[" + "0," * MOST_VALUES + "0,0]", "values"),
        ("[" + "[]," * MOST_VALUES + "[]]", "values"),
        ("1e999", "too large"),
        ("NaN", "not JSON"),
        ("9" * 5000, "."),
        ('"' + "[" * 1_000_000, "."),
    ],
)
def test_what_is_too_much_is_refused_before_it_is_parsed(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        load_json(text)


def test_brackets_and_commas_in_texts_do_not_count() -> None:
    text = json.dumps({"a": '[{,\\"' * MOST_VALUES})

    assert load_json(text) == json.loads(text)


@given(st.text(st.characters(exclude_categories=[]), max_size=20))
def test_what_is_written_is_json_for_every_reader(text: str) -> None:
    written = dump_json({"a": text, "b": "\\" + text})

    read = json.loads(written)
    read["a"].encode()
    assert read["a"] == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_depth_is_found_without_recursion() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]

    assert is_deeper(value, 4999)
    assert not is_deeper([[1]], 2)
    assert is_deeper([[1]], 1)


def test_a_text_without_an_end_is_judged_in_one_pass() -> None:
    """With giving back, each quote in it began another search to the end: 200 KB took minutes."""
    with pytest.raises(ValueError, match="deep"):
        load_json(b"[" * (DEEPEST + 100) + b'"' + b'\\"' * 400_000)


@pytest.mark.parametrize("text", [b'["[[[[', b'["\\', b'["a\\"[', b'["a"]'])
def test_what_stands_in_a_text_is_no_structure(text: bytes) -> None:
    padded = b"[" * DEEPEST + text
    with pytest.raises(ValueError, match="deep"):
        load_json(padded)
