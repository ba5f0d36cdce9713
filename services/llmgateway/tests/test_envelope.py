import json
import re
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_llmgateway.errors import BadRequestError, MalformedEventError
from agent_llmgateway.wire.envelope import ask_for_usage, read_envelope, replace_model

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("model"), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.dictionaries(st.text(max_size=12).filter(lambda name: name not in ("model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens")), JSON, max_size=6)  # fmt: skip # noqa: E501


@given(FIELDS, FIELDS, st.text(min_size=1), st.sampled_from([None, 1, 3]), st.booleans())
def test_only_the_models_name_is_another(
    before: dict[str, Any],
    after: dict[str, Any],
    model: str,
    indent: int | None,
    ascii_only: bool,
) -> None:
    document = {**before, "model": "the-old-name", **{k: v for k, v in after.items() if k not in before}}
    body = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        body.decode()
    except UnicodeDecodeError:
        return
    changed = replace_model(body, model)
    assert json.loads(changed) == {**document, "model": model}
    assert list(json.loads(changed)) == list(document)
    old, new = b'"the-old-name"', msgspec.json.encode(model)
    places = [match.start() for match in re.finditer(old, body)]
    assert changed in [body[:at] + new + body[at + len(old) :] for at in places]


def test_a_model_inside_of_others_is_left_alone() -> None:
    body = b'{"messages":[{"model":"x","content":"\\"model\\": \\"y\\""}],"tools":{"model":{}}, "model" :"old"}'
    assert replace_model(body, 'n"ew') == body.replace(b'"old"', b'"n\\"ew"')
    assert json.loads(replace_model(body, 'n"ew'))["model"] == 'n"ew'


def test_a_field_given_twice_is_refused_not_guessed() -> None:
    with pytest.raises(BadRequestError):
        replace_model(b'{"temperature":1,"temperature":22,"model":"a"}', "b")


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"[]", b"null", b'"text"', b'{"model":', b'{"model":7}', b'{"stream":true}', b'{"model":""}',
     b'{"model":"a","stream":"yes"}', b"\xff\xfe", b'{"model":"a","max_tokens":"many"}', b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError) as refused:
        read_envelope(body)
    assert refused.value.status == 400


def test_what_is_read() -> None:
    envelope, _ = read_envelope(b'{"model":"a","stream":true,"max_completion_tokens":7,"anything":{"else":[1]}}')
    assert (envelope.model, envelope.stream, envelope.output_limit_tokens("chat")) == ("a", True, 7)


@pytest.mark.parametrize("second", ["model", "MODEL", "Model", "mode\\u006c", "\\u006dodel", "M\\u004fDEL"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_model_that_stands_twice_is_refused_in_any_spelling(second: str, order: int) -> None:
    fields = ['"model": "a"', f'"{second}": "b"', '"messages": [{"model": "c"}]'][::order]
    with pytest.raises(BadRequestError, match=r"twice|is called"):
        read_envelope(("{" + ",".join(fields) + "}").encode())


@pytest.mark.parametrize(
    "body", [b'{"model":"a","x":{"model":"b"}}', b'{"x":"\\"model\\": 1, \\u0041","model":"a"}', b' { "model" : "a" } ']
)
def test_a_model_inside_of_a_message_is_no_second_one(body: bytes) -> None:
    assert read_envelope(body)[0].model == "a"


@pytest.mark.parametrize(
    "fields",
    [
        '"max_tokens":100000,"max_tokens":1',
        '"max_tokens":1,"max_tokens":100000',
        '"n":50,"x":{"n":5},"n":5',
        '"n":10,"n":1,"x":1',
        '"max_tokens":1,"Max_Tokens":100000',
        '"N":50',
        '"stream":false,"STREAM":true',
        '"messages":[{"type":"file","file_id":"f"}],"messages":[]',
        '"max_completion_token\\u0073":9,"max_completion_tokens":1',
        '"Max_output_token\\u0053":9',
        '"service_tier":"default","service_tier":"priority"',
        '"\u017ftream":true',
        '"max_token\\u017f":9',
    ],
)
def test_no_field_that_is_read_may_be_read_otherwise_by_another_parser(fields: str) -> None:
    for body in ('{"model":"a",' + fields + "}", "{" + fields + ',"model":"a"}', "{ " + fields + ' , "model":"a" }'):
        with pytest.raises(BadRequestError, match=r"twice|is called"):
            read_envelope(body.encode())


def test_the_name_of_a_model_is_bounded() -> None:
    assert read_envelope(b'{"model":"' + b"m" * 256 + b'"}')[0].model == "m" * 256
    with pytest.raises(BadRequestError, match="longer than 256"):
        read_envelope(b'{"model":"' + b"m" * 257 + b'"}')


def test_halves_of_characters_are_joined_or_replaced() -> None:
    body = b'{"model":"m","messages":[{"content":"\\ud83d\\ude00 \\ud83d"}]}'
    envelope, mended = read_envelope(body)
    assert envelope.model == "m"
    assert json.loads(mended.decode())["messages"][0]["content"] == "\U0001f600 \ufffd"
    for bad in (b'{"model":"m","x":"\\ud83d"', b'{"model":"m","x":"\\ud83z"}'):
        with pytest.raises(BadRequestError):
            read_envelope(bad)


@pytest.mark.parametrize(
    "field",
    [b'"\xb9": 1', b'"a\xff\xfeb": {"model": "m"}', b'"x": "\xb9"', b'"stream_options": {"a\xb9": "\xff"}'],
)
def test_text_that_is_not_utf8_is_the_clients_mistake_wherever_it_stands(field: bytes) -> None:
    body = b'{"model": "a", ' + field + b', "y": {"model": "b"}}'
    with pytest.raises(BadRequestError, match="not UTF-8"):
        read_envelope(body)
    with suppress(BadRequestError, MalformedEventError):
        replace_model(body, "b")
    with suppress(BadRequestError, MalformedEventError):
        ask_for_usage(body)
