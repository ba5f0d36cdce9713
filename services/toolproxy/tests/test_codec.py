import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_toolproxy.boundedjson import dump_json, load_json
from agent_toolproxy.mcp.codec import decode_header, encode_header


@given(st.text(max_size=60))
def test_a_header_carries_any_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    encoded = encode_header(text)
    assert encoded.isascii()
    assert encoded.isprintable() or "\t" in encoded
    assert decode_header(encoded) == text


@pytest.mark.parametrize(
    "value", ["", " a", "a ", "\u00e9", "a\nb", "=?base64?%%?=", "=?base64?/w==?=", "=?base64?YQ?="]
)
def test_malformed_headers_are_errors(value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_header(value)


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "{", "[" * 200_000])
def test_what_is_not_json_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_json(text)


def test_json_is_one_ascii_line() -> None:
    assert "\n" not in dump_json({"a": "\n\u2028\ud800"})
    assert dump_json({"a": "\u2028"}).isascii()
