from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_llmgateway.providererrors.retry_after import LONGEST_S, read_retry_after

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    "headers,expected",
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90.0),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"x-ratelimit-reset": "12"}, 12.0),
        ({"x-ratelimit-reset": str(int(NOW) + 33)}, 33.0),
        ({"x-ratelimit-reset": str((int(NOW) + 33) * 1000)}, 33.0),
        ({"x-ratelimit-reset": str(int(NOW) - 33)}, None),
        ({"x-ratelimit-reset-requests": "2m30s"}, 150.0),
        ({"x-ratelimit-reset-tokens": "1h"}, 3600.0),
        ({"x-ratelimit-reset-requests": "1d2h"}, LONGEST_S),
        ({"x-ratelimit-reset-tokens": "6m0.5s"}, 360.5),
        ({"x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"x-ratelimit-reset-requests": "17"}, 17.0),
        ({"x-ratelimit-reset-requests": "8.64s", "x-ratelimit-reset-tokens": "3s"}, 8.64),
        (
            {
                "x-ratelimit-reset-requests": "8s",
                "x-ratelimit-reset-tokens": "3s",
                "x-ratelimit-remaining-tokens": "0",
            },
            3.0,
        ),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "99999999"}, LONGEST_S),
        ({"retry-after": "junk", "x-ratelimit-reset-tokens": "5s"}, 5.0),
        ({"x-ratelimit-reset-requests": "5 minutes"}, None),
    ],
)
def test_each_form(headers: dict[str, str], expected: float | None) -> None:
    wait_s = read_retry_after(headers, NOW)
    assert wait_s == (None if expected is None else pytest.approx(expected))


@given(st.text(max_size=100), st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-reset-tokens"]))  # fmt: skip # noqa: E501
def test_any_text_is_a_wait_within_bounds_or_none(text: str, header: str) -> None:
    wait_s = read_retry_after({header: text}, NOW)
    assert wait_s is None or 0 <= wait_s <= LONGEST_S
