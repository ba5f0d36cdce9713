"""Signatures: of this Pod, this sidecar, this purpose, this question, these bytes; and of nothing else."""

import pytest

from agent_api.signing import NONCE, Purpose, Signer, new_nonce

SIGNER = Signer("k" * 64, "pod-1", "llmgateway")
NONCE_1 = "n" * 22
BODY = b'{"ready": true}'


def test_a_signature_is_good_for_what_was_signed() -> None:
    assert SIGNER.is_signed("report", NONCE_1, BODY, SIGNER.sign("report", NONCE_1, BODY))


@pytest.mark.parametrize(
    "signer, purpose, nonce, body",
    [
        (Signer("j" * 64, "pod-1", "llmgateway"), "report", NONCE_1, BODY),
        (Signer("k" * 64, "pod-2", "llmgateway"), "report", NONCE_1, BODY),
        (Signer("k" * 64, "pod-1", "toolproxy"), "report", NONCE_1, BODY),
        (SIGNER, "calls", NONCE_1, BODY),
        (SIGNER, "report", "m" * 22, BODY),
        (SIGNER, "report", NONCE_1, b'{"ready": false}'),
        (Signer("k" * 64, "pod-1l", "lmgateway"), "report", NONCE_1, BODY),
        (SIGNER, "report", NONCE_1 + "{", BODY[1:]),
    ],
)
def test_a_signature_is_good_for_nothing_else(signer: Signer, purpose: Purpose, nonce: str, body: bytes) -> None:
    assert not SIGNER.is_signed("report", NONCE_1, BODY, signer.sign(purpose, nonce, body))


@pytest.mark.parametrize("signature", ["", "v1=", "v1=\u00e9", "v2=" + "0" * 64, "0" * 10_000_000, "v1=\ud800"])
def test_what_is_no_signature_is_refused(signature: str) -> None:
    assert not SIGNER.is_signed("report", NONCE_1, BODY, signature)


def test_without_a_key_nothing_is_signed_well() -> None:
    keyless = Signer("", "pod-1", "llmgateway")
    assert not keyless.is_signed("report", NONCE_1, BODY, keyless.sign("report", NONCE_1, BODY))


def test_a_nonce_is_new_and_one() -> None:
    made = {new_nonce() for _ in range(1000)}
    assert len(made) == 1000
    assert all(NONCE.fullmatch(each) for each in made)


def test_a_signer_does_not_show_its_key() -> None:
    assert "kkk" not in repr(SIGNER)
