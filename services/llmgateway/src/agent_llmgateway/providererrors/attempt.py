"""One try of one route, as errors, metrics and the report list it."""

from typing import Any

import msgspec


class AttemptRecord(msgspec.Struct, frozen=True):
    """What became of one try. `key` is the name of the key's file."""

    provider: str
    model: str
    outcome: str
    status: int = 0
    message: str = ""
    key: str = ""
    duration_s: float = 0.0

    def document(self) -> dict[str, Any]:
        """As error answers list it."""
        return {
            "provider": self.provider,
            "model": self.model,
            "outcome": self.outcome,
            "status": self.status,
            "message": self.message,
        }
