"""A provider's own error document reaches the client as it came, and never with a key in it."""

import json

import pytest

from agent_base.redaction import Redactor
from agent_llmgateway.errors import ReturnedError
from agent_llmgateway.http.problems import answer_error
from agent_llmgateway.providererrors.classify import read_failure
from agent_llmgateway.wire.dialects import DIALECTS

KEY = "ab/cd+ef/ghij-klmn/opqr"
SLASHED = KEY.replace("/", "\\/")
NUMBERED = "".join(f"\\u{ord(character):04x}" for character in KEY)


def returned(body: bytes) -> bytes:
    redactor = Redactor()
    redactor.add(KEY)
    failure = read_failure(400, {}, body, dialect="chat", now_epoch_s=0)
    return answer_error(DIALECTS["chat"], ReturnedError(failure, "a", []), redactor)[1]


@pytest.mark.parametrize("spelt", [KEY, SLASHED, NUMBERED], ids=["plain", "slashed", "numbered"])
@pytest.mark.parametrize(
    "form",
    [
        '{"error":{"message":"%s"}}',
        '{"error":{"message":"%s","message":"x"}}',
        '{"error":{"message":"%s"},"error":{"message":"x"}}',
        '{"error":{"message":"%s"},"x":NaN}',
        '{"error":{"message":"%s"},"x":"\\ud83d"}',
        '{"error":{"message":"%s"},"x":' + '{"a":' * 600 + "1" + "}" * 600 + "}",
        '{"error":{"message":"%s"},"x":' + "[" * 200_000 + "]" * 200_000 + "}",
        '{"error":{"message":"%s"},"x":' + "4" * 5000 + "}",
        '{"error":{"message":"%s"',
    ],
)
def test_a_key_is_in_no_error_however_it_is_written(form: str, spelt: str) -> None:
    shown = returned((form % spelt).encode()).decode()
    assert spelt not in shown
    assert KEY not in shown
    try:
        document = json.loads(shown)
    except (ValueError, RecursionError):
        return
    assert KEY not in json.dumps(document, ensure_ascii=False)


def test_an_error_without_a_key_is_given_as_it_came() -> None:
    for body in (b'{"error": {"message": "no"}}', b'{"error":{"message":"no"},"x":1e2}', b"no"):
        assert returned(body) == body
