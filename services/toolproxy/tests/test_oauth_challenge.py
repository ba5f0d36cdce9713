import time

import pytest

from agent_toolproxy.mcp.oauth.challenge import bearer_challenge


@pytest.mark.parametrize(
    "headers,expected",
    [
        (['Bearer resource_metadata="https://h/x", scope="a b"'], {"resource_metadata": "https://h/x", "scope": "a b"}),
        (["bearer scope=a"], {"scope": "a"}),
        (['Basic realm="Bearer scope=x"', 'Bearer scope="y"'], {"scope": "y"}),
        (['Basic realm="a", Bearer error="invalid_token",scope="z"'], {"error": "invalid_token", "scope": "z"}),
        (['Bearer realm="a, \\"b\\"", scope=c'], {"realm": 'a, "b"', "scope": "c"}),
        (['Bearer SCOPE="first", scope="second"'], {"scope": "first"}),
        (["Bearer"], {}),
        (["BearerToken scope=x"], {}),
        ([], {}),
    ],
)
def test_a_challenge_is_read_as_the_rfc_has_it(headers: list[str], expected: dict[str, str]) -> None:
    assert bearer_challenge(headers) == expected


@pytest.mark.parametrize("text", ['"' * 200_000, "a=" * 200_000, 'a="' + "\\" * 200_000, "Bearer," * 100_000])
def test_a_hostile_challenge_takes_no_time(text: str) -> None:
    began = time.process_time()

    bearer_challenge([f"Bearer {text}"] * 20)

    assert time.process_time() - began < 2
