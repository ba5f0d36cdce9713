"""Who gets in at a sidecar's door."""

from pathlib import Path

import pytest
from multidict import CIMultiDict

from agent_kit.callerauth import Door, read_token
from agent_kit.errors import TokenError

TOKEN = "a-token-of-this-pod-alone"


def headers(*pairs: tuple[str, str]) -> CIMultiDict[str]:
    return CIMultiDict(pairs)


@pytest.mark.parametrize("host", ["127.0.0.1:8801", "localhost", "LOCALHOST:1", "[::1]:8801", "pod.example:8801"])
def test_the_hosts_of_the_pod_are_served(host: str) -> None:
    assert Door("127.0.0.1", allowed_hosts=("pod.example",)).check_source(headers(("host", host))) is None


@pytest.mark.parametrize(
    "given",
    [
        (),
        (("host", "evil.example"),),
        (("host", "127.0.0.1.evil.example"),),
        (("host", "127.0.0.1"), ("host", "evil.example")),
        (("host", ""),),
        (("host", "[::1"),),
        (("host", "user@127.0.0.1@evil.example"),),
    ],
)
def test_another_host_is_refused(given: tuple[tuple[str, str], ...]) -> None:
    door = Door("127.0.0.1")
    assert door.check_source(headers(("host", "127.0.0.1"))) is None
    assert door.check_source(headers(*given)) == "host"


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://127.0.0.1:8801", ""])
def test_every_origin_is_refused_that_was_not_allowed(origin: str) -> None:
    assert Door("127.0.0.1").check_source(headers(("host", "localhost"), ("origin", origin))) == "origin"


def test_a_page_of_the_sidecar_itself_is_no_stranger() -> None:
    door = Door("127.0.0.1")
    own = headers(("host", "localhost:8802"), ("origin", "http://localhost:8802"))
    assert door.check_source(own) is None
    assert door.check_source(headers(("host", "localhost:8802"), ("origin", "http://localhost:3000"))) == "origin"
    rebound = headers(("host", "evil.example:8802"), ("origin", "http://evil.example:8802"))
    assert door.check_source(rebound) == "host"


def test_an_allowed_origin_does_not_cover_for_a_second_one() -> None:
    door = Door("127.0.0.1", allowed_origins=("http://console",))
    both = headers(("host", "localhost"), ("origin", "http://console"), ("origin", "http://evil.example"))
    assert door.check_source(headers(("host", "localhost"), ("origin", "http://console"))) is None
    assert door.check_source(both) == "origin"


@pytest.mark.parametrize("shown", [TOKEN, f"Bearer {TOKEN}", f"bearer  {TOKEN} "])
def test_the_token_is_taken_in_each_usual_form(shown: str) -> None:
    assert Door("127.0.0.1", token=TOKEN).check_token(None, shown) is None


@pytest.mark.parametrize(
    "shown", [None, "", "Bearer", "Bearer ", TOKEN[:-1], TOKEN + "x", f"Basic {TOKEN}", "\udc80", "held-by-the-gateway"]
)
def test_anything_else_is_no_token(shown: str | None) -> None:
    assert Door("127.0.0.1", token=TOKEN).check_token(shown) == "token"


def test_without_a_token_file_there_is_no_token(tmp_path: Path) -> None:
    assert read_token(tmp_path / "token") is None
    assert Door("127.0.0.1").check_token(None) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"two words that are long", b"\xff" * 32, b"x" * 15])
def test_a_token_file_that_cannot_be_used_lets_nobody_in(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(TokenError, match="not a token"):
        read_token(tmp_path / "token")


def test_a_folder_in_the_place_of_the_token_lets_nobody_in(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="cannot be read"):
        read_token(tmp_path)
