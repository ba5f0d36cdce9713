import base64
import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_base.occurrences import length_of_end
from agent_base.redaction import MASK, SHORTEST_SECRET, LineRedactor, Redactor, StreamMasker

CANARY = 'c4nary/Va+lue\nwith "quotes" and ünïcode'


@pytest.mark.parametrize(
    "spelling",
    [
        CANARY,
        quote(CANARY, safe=""),
        quote_plus(CANARY),
        json.dumps(CANARY),
        json.dumps(CANARY, ensure_ascii=False),
        repr(CANARY),
        base64.b64encode(CANARY.encode()).decode(),
        base64.urlsafe_b64encode(CANARY.encode()).decode(),
    ],
)
def test_a_registered_value_is_masked_in_every_spelling(spelling: str) -> None:
    redactor = Redactor()
    redactor.add(CANARY)
    masked = redactor.redact(f"before {spelling} after")
    assert masked.startswith("before ")
    assert MASK in masked
    assert "nary" not in masked
    assert "quotes" not in masked
    assert "Y0bmF" not in masked


def test_a_value_from_a_file_is_masked_without_its_line_break() -> None:
    redactor = Redactor()
    redactor.add(b"plain-canary\n")
    assert redactor.redact("key plain-canary!") == f"key {MASK}!"


def test_the_longer_of_two_overlapping_values_wins() -> None:
    redactor = Redactor()
    redactor.add("abcdef")
    redactor.add("abcdef-ghijkl")
    assert redactor.redact("abcdef-ghijkl") == MASK


def test_a_value_too_short_to_be_a_secret_is_left_alone() -> None:
    redactor = Redactor()
    redactor.add("a" * (SHORTEST_SECRET - 1))
    redactor.add("")
    assert redactor.redact("aaa banana") == "aaa banana"


@pytest.mark.parametrize(
    "text,secret",
    [
        ("Authorization: Bearer abcdefghijkl", "abcdefghijkl"),
        ("sent bearer abcdef.ghi-jkl_mno", "abcdef"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpw"),
        ("{'Authorization': 'Basic dXNlcjpwYXNzd29yZA=='}", "dXNlcjpw"),
        ("{'x-api-key': 'canarycanary'}", "canarycanary"),
        ('{"api_key": "canarycanary"}', "canarycanary"),
        ("invalid key sk-ant-api03-canary_canary", "canary"),
        ("clone https://user:c4nary@git.example.com/x failed", "c4nary"),
        ("clone https://c4narytoken@git.example.com/x failed", "c4nary"),
        ("redis://:p@ss@memory:6379/0", "p@ss"),
        ("GET https://api.example.com/v1?key=c4nary&x=1", "c4nary"),
        ("token ghp_c4narycanarycanary1234", "c4nary"),
        ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl", "c2lnbmF0"),
        ("password=hunter2canary, next", "hunter2"),
        ("-----BEGIN RSA PRIVATE KEY-----\nc4nary\n-----END RSA PRIVATE KEY-----", "c4nary"),
        ("'-----BEGIN PRIVATE KEY-----\\nc4nary", "c4nary"),
        ("Set-Cookie: session=c4nary; Path=/", "c4nary"),
        ("Cookie: theme=dark; session=c4nary", "c4nary"),
        ("authorization: Bearer sk-c4narycanary", "c4nary"),
        ("Authorization: token c4narycanary", "c4nary"),
        ("OPENAI_API_KEY=c4narycanary", "c4nary"),
        ("GIT_TOKEN=c4narycanary", "c4nary"),
        ('declare -x HF_TOKEN="c4narycanary"', "c4nary"),
        ("//registry.example.com/:_authToken=c4narycanary", "c4nary"),
        ("PGPASSWORD=c4narycanary psql", "c4nary"),
        ("twine upload --password c4narycanary", "c4nary"),
        ("machine h login me password c4narycanary", "c4nary"),
        ("github_pat_11AAAAAAA0c4narycanarycanary", "c4nary"),
        ("key_sk-proj-c4narycanary", "c4nary"),
        ("pypi-AgEIc4narycanary", "c4nary"),
        ("gsk_c4narycanarycanary1234", "c4nary"),
    ],
)
def test_text_shaped_like_a_secret_is_masked(text: str, secret: str) -> None:
    masked = Redactor().redact(text)
    assert secret not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "task-something-very-long is done",
        "uses 120 tokens of 1000",
        "Basic authentication is not set up",
        "read https://example.com/path@version",
        "mail admin@example.com",
        "the provider main-llm answers in 0.5 s",
        "MAX_TOKENS=4096 SORT_KEYS=true",
        "the author of cookiecutter",
        "install pypi packages with sk-learn",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert Redactor().redact(text) == text


@pytest.mark.parametrize("name", ["password", "api_key", "X-Api-Key", "access_token", "redis.password", "token"])
def test_a_field_with_the_name_of_a_secret_is_masked_whole(name: str) -> None:
    assert Redactor().redact_field(name, "anything") == MASK


@pytest.mark.parametrize("name", ["tokens", "tokens_per_hour", "secret_name", "keyboard"])
def test_a_field_that_only_resembles_one_is_kept(name: str) -> None:
    assert Redactor().redact_field(name, "anything") == "anything"


@pytest.mark.parametrize(
    "unit", ["eyJ-", "eyJaaaaaa.", "://a", "bearer ", "password ", "?key", "-----BEGIN A-----", "sk-"]
)
def test_no_text_takes_time_out_of_proportion(unit: str) -> None:
    """Half a million characters: linear patterns take part of a second, a quadratic one takes minutes."""
    started = time.process_time()
    Redactor().redact(unit * (500_000 // len(unit)))
    assert time.process_time() - started < 20


@given(
    secret=st.text(min_size=SHORTEST_SECRET).filter(lambda text: len(text.strip()) >= SHORTEST_SECRET),
    around=st.text(max_size=20),
)
def test_no_registered_value_survives(secret: str, around: str) -> None:
    redactor = Redactor()
    redactor.add(secret)
    if secret not in MASK and MASK not in secret:
        assert secret not in redactor.mask_values(f"{around}|{secret}|{around}").replace(MASK, "\0")


PEM = ["-----BEGIN RSA PRIVATE KEY-----", "c4naryLine1", "c4naryLine2", "-----END RSA PRIVATE KEY-----"]


def test_a_private_key_is_masked_when_it_comes_line_by_line() -> None:
    lines = LineRedactor(Redactor())
    assert [lines.redact(line) for line in ["before", *PEM, "after"]] == ["before", MASK, None, None, None, "after"]


def test_a_private_key_on_one_line_hides_none_of_the_next() -> None:
    lines = LineRedactor(Redactor())
    assert lines.redact(f"key: {PEM[0]} c4nary {PEM[-1]} end") == f"key: {MASK} end"
    assert lines.redact("after") == "after"


NETRC = "machine git.example.com\n  login robot\n  password hunter2hunter2\n"


def test_a_value_of_several_lines_is_masked_when_it_comes_line_by_line() -> None:
    redactor = Redactor()
    redactor.add(NETRC)
    lines = LineRedactor(redactor)
    shown = [lines.redact(f"12:00 {line}!") for line in [*NETRC.splitlines(), "login", "robot"]]
    assert shown == [f"12:00 {MASK}!", f"12:00   {MASK}!", f"12:00   {MASK}!", "12:00 login!", "12:00 robot!"]
    redactor.forget(NETRC)
    assert lines.redact("  login robot") == "  login robot"


def test_the_lines_of_a_value_are_let_through_where_text_does_not_come_by_lines() -> None:
    redactor = Redactor()
    redactor.add("first: line\nsecond: line")
    assert redactor.redact("first: line") == "first: line"


def test_a_single_line_with_its_break_is_no_value_of_several_lines() -> None:
    redactor = Redactor()
    redactor.add("\ncorrect-horse\n")
    assert LineRedactor(redactor).redact("a correct-horse") == f"a {MASK}"


def test_a_key_that_never_ends_hides_only_so_many_lines() -> None:
    lines = LineRedactor(Redactor())
    lines.redact(PEM[0])
    shown = [lines.redact("MIIE") for _ in range(2000)]
    assert shown[:200] == [None] * 200
    assert shown[-1] == "MIIE"


ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in "v4lue-of-a-key")


@pytest.mark.parametrize("before", ["", "x", "Bearer ", "Authorization: Bearer "])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_value_is_masked_within_longer_base64(before: str, encode: Callable[[bytes], bytes]) -> None:
    value = "v4lue-of-a-key"
    redactor = Redactor()
    redactor.add(value)
    shown = redactor.redact(encode(f"{before}{value}\r\nHost: x".encode()).decode())
    assert MASK in shown
    assert value[4:10] not in base64.b64decode(shown.replace(MASK, "A" * 20) + "===").decode("latin-1")


@pytest.mark.parametrize(
    "text",
    [
        ESCAPED,
        ESCAPED.replace("\\", "\\\\"),
        "".join(f"%{ord(letter):02x}" for letter in "v4lue-of-a-key"),
        "v4l%75e-of-a-key",
        "".join(f"&#{ord(letter)};" for letter in "v4lue-of-a-key"),
        "".join(f"&#x{ord(letter):x};" for letter in "v4lue-of-a-key"),
        b"v4lue-of-a-key".hex(),
        b"v4lue-of-a-key".hex().upper(),
        "v4lue%2dof%2da-key",
        "%2576%25344lue v4lue%2Dof%2Da%2Dkey",
    ],
)
def test_a_value_is_masked_however_its_characters_are_escaped(text: str) -> None:
    redactor = Redactor()
    redactor.add("v4lue-of-a-key")
    assert redactor.holds_value(f"a {text} b")
    shown = redactor.redact(f"a {text} b")
    assert MASK in shown
    assert text not in shown
    assert redactor.redact_document({text: [text]}) == {MASK: [MASK]} or "%25" in text


def spelt(value: str) -> list[str]:
    return [
        "p%40ss%2Fw0rd!x",
        "p%40ss%2fw0rd!x",
        "p%40ss/w0rd%21x",
        "p\\u0040ss/w0rd!x",
        "p&#64;ss/w0rd!x",
        json.dumps(value).replace("/", "\\/"),
        json.dumps(json.dumps(value)),
        html.escape(value),
    ]


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("value", ["p@ss/w0rd!x", 'p@ss/w0rd!x<&"q"'])
def test_a_value_is_masked_in_spellings_of_others(number: int, value: str) -> None:
    redactor = Redactor()
    redactor.add("p@ss/w0rd!x")
    redactor.add(value)
    for mask in (redactor.mask_escaped, redactor.redact):
        shown = mask(f"a {spelt(value)[number]} b")
        assert MASK in shown
        assert "w0rd" not in shown


def test_what_is_escaped_ever_deeper_takes_no_recursion_and_shows_nothing() -> None:
    redactor = Redactor()
    redactor.add("c4nary-value")
    text = " ".join("%" + "25" * depth + "634nary-value" for depth in range(300))
    assert redactor.mask_escaped(text) == MASK
    assert redactor.mask_escaped("100%25 %2563 \\u0040") == "100%25 %2563 \\u0040"


@pytest.mark.parametrize("store", ["X-Amz", "x-goog", "X-Goog"])
@pytest.mark.parametrize("name", ["Signature", "Credential", "Security-Token"])
def test_the_signature_of_an_address_is_masked(store: str, name: str) -> None:
    shown = Redactor().redact(f"https://h/o?{store}-Date=1&{store}-{name}=c4nary%2F1/a&{store}-Expires=5")
    assert shown == f"https://h/o?{store}-Date=1&{store}-{name}={MASK}&{store}-Expires=5"


def test_escapes_that_hide_no_value_stay_as_they_are() -> None:
    redactor = Redactor()
    redactor.add("v4lue-of-a-key")
    text = r"100% of C:\users\x41 is \u00e9 &#65; %41 \ud800 &#1114112;"
    assert redactor.redact(text) == text


@given(secret=st.text("ab", min_size=SHORTEST_SECRET, max_size=8), text=st.text("ab-", max_size=60), data=st.data())
def test_no_value_survives_in_pieces(secret: str, text: str, data: st.DataObject) -> None:
    redactor = Redactor()
    redactor.add(secret)
    stream = StreamMasker(redactor)
    shown, rest = "", f"{text}{secret}{text}"
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        shown += stream.feed(rest[:cut])
        rest = rest[cut:]
    shown += stream.flush()
    assert secret not in shown
    assert shown.replace(MASK, "").replace("a", "").replace("b", "").count("-") == 2 * text.count("-")


def test_a_piece_that_begins_no_value_is_shown_at_once() -> None:
    redactor = Redactor()
    redactor.add("s3cret-value")
    stream = StreamMasker(redactor)
    assert [stream.feed(piece) for piece in ("10 %\n", "s", "ome s3cr", "et-value end")] == [
        "10 %\n",
        "",
        "some ",
        f"{MASK} end",
    ]


def test_two_values_that_overlap_are_both_masked() -> None:
    redactor = Redactor()
    for value in ("abcd", "cdefgh"):
        redactor.add(value)
    stream = StreamMasker(redactor)
    shown = stream.feed("xabcd") + stream.feed("zz") + stream.flush()
    assert shown == f"x{MASK}zz"


@pytest.mark.parametrize("length", range(SHORTEST_SECRET, len("s3cret-value")))
def test_the_first_part_of_a_value_is_masked_where_text_was_cut(length: int) -> None:
    redactor = Redactor()
    redactor.add("s3cret-value")
    assert redactor.mask_cut("output " + "s3cret-value"[:length]) == f"output {MASK}"


@given(value=st.text("ab", min_size=SHORTEST_SECRET, max_size=9), text=st.text("ab", max_size=80))
def test_a_value_that_overlaps_itself_is_masked_whole(value: str, text: str) -> None:
    redactor = Redactor()
    redactor.add(value)
    text = f"{value}|{text}|{value}{value[1:]}"
    begins = [at for at in range(len(text)) if text.startswith(value, at)]
    hidden = {at for begin in begins for at in range(begin, begin + len(value))}
    shown = "".join(letter for at, letter in enumerate(text) if at not in hidden)
    assert redactor.mask_values(text).replace(MASK, "") == shown


def test_a_value_that_ends_as_it_begins_shows_none_of_its_second_occurrence() -> None:
    redactor = Redactor()
    redactor.add("abcdefghabcd")
    assert redactor.redact("x abcdefghabcdefghabcd y") == f"x {MASK} y"


@pytest.mark.parametrize("value", ["a" * 50_000, "ab" * 25_000, "a" * 49_999 + "b"])
def test_many_overlaps_take_no_time_out_of_proportion(value: str) -> None:
    redactor = Redactor()
    redactor.add(value)
    started = time.process_time()
    redactor.mask_values(value * 20)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("end", ["c" + "a" * 60_000, "c", "", "a" * 40_000 + "b"])
def test_a_value_that_repeats_itself_takes_no_time_out_of_proportion(end: str) -> None:
    redactor = Redactor()
    redactor.add("a" * 100_000 + "b")
    started = time.process_time()
    redactor.mask_cut("a" * 60_000 + end)
    assert time.process_time() - started < 5


@given(value=st.text("ab", min_size=SHORTEST_SECRET, max_size=200), text=st.text("ab", max_size=400))
def test_the_begun_value_is_found_by_both_ways_alike(value: str, text: str) -> None:
    text = text[: len(value) - 1]
    ends = (length for length in range(len(text), 0, -1) if value.startswith(text[-length:]))
    assert length_of_end(value, text) == next(ends, 0)


def test_a_text_that_was_seen_before_is_masked_once_it_is_a_secret() -> None:
    redactor = Redactor()
    assert redactor.redact("correct-horse") == "correct-horse"
    redactor.add("correct-horse")
    assert redactor.redact("correct-horse") == MASK
    redactor.forget("correct-horse")
    assert redactor.redact("correct-horse") == "correct-horse"


def test_of_many_texts_each_is_masked_as_it_is() -> None:
    redactor = Redactor()
    redactor.add("correct-horse")
    for number in range(2000):
        assert redactor.redact(f"{number} correct-horse") == f"{number} {MASK}"
        assert redactor.redact(f"{number} API_TOKEN=abcdefgh{number}") == f"{number} API_TOKEN={MASK}"
