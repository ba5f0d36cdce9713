"""Signatures on what the operator and a sidecar say to each other: whose it is, for whom, and that it is new.

Both have one key for each sidecar of an agent, which is mounted in that sidecar alone. What is signed is bound to the
Pod, so that no Pod can pass on what another one said; to a purpose, so that no document stands for one of another
kind; and to a nonce that the reader has just made, so that what was said before is not said again.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final, Literal

NONCE_HEADER: Final = "Agentberth-Nonce"
"""Of a request: a signed answer is wanted. Without it an answer is not signed."""
SIGNATURE_HEADER: Final = "Agentberth-Signature"
NONCE: Final = re.compile("[0-9A-Za-z_-]{16,64}")

Purpose = Literal["report", "calls", "grant order", "grant receipt", "last receipt"]
"""Of the document that is signed; a last receipt has no nonce, since nobody has asked for it."""

_PREFIX: Final = "v1="
_LONGEST_SIGNATURE: Final = 128


def new_nonce() -> str:
    """One that was never used: 128 random bits."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True)
class Signer:
    """Signs and verifies what one sidecar of one Pod says, and what is said to it."""

    key: str
    pod_uid: str
    sidecar: str

    def __repr__(self) -> str:
        return f"Signer(***, {self.pod_uid!r}, {self.sidecar!r})"

    def sign(self, purpose: Purpose, nonce: str, body: bytes) -> str:
        """The value of the signature's header for `body`."""
        code = hmac.new(self.key.encode(), digestmod=hashlib.sha256)
        for part in (self.pod_uid.encode(), self.sidecar.encode(), purpose.encode(), nonce.encode(), body):
            code.update(len(part).to_bytes(8, "big"))  # so that no two lists of parts are the same bytes
            code.update(part)
        return f"{_PREFIX}{code.hexdigest()}"

    def is_signed(self, purpose: Purpose, nonce: str, body: bytes, signature: str) -> bool:
        """Whether `signature` is the one of `body`; takes as long for any wrong one."""
        if not self.key or len(signature) > _LONGEST_SIGNATURE:
            return False
        wanted = self.sign(purpose, nonce, body)
        return hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace"))
