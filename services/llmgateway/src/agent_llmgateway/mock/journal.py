"""What reached the mock: the only way to know how often a provider was really asked, and with which bytes."""

import hashlib
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import msgspec

MOST_ENTRIES = 20_000
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(slots=True)
class JournalEntry:
    """One request. Keys and bodies are kept as sha256 only; `ended_after_s` counts from the request."""

    number: int
    dialect: str
    model: str
    request_id: str
    key_sha256: str
    body_sha256: str
    fields_sha256: Mapping[str, str]
    headers: Mapping[str, str]
    began_s: float
    outcome: Literal["open", "answered", "faulted", "client-gone"] = "open"
    ended_after_s: float = 0.0
    events: int = 0
    document: dict[str, Any] = field(default_factory=dict)

    def end(self, outcome: Literal["answered", "faulted", "client-gone"]) -> None:
        """The first outcome stands."""
        if self.outcome == "open":
            self.outcome = outcome
            self.ended_after_s = time.monotonic() - self.began_s


class Journal:
    """The last requests, and the number of all of them by model."""

    def __init__(self, *, keep_documents: bool) -> None:
        self._entries: deque[JournalEntry] = deque(maxlen=MOST_ENTRIES)
        self._keep_documents = keep_documents
        self.counts: Counter[str] = Counter()

    def begin(self, dialect: str, model: str, body: bytes, headers: Mapping[str, str]) -> JournalEntry:
        shown = {name.lower(): value for name, value in headers.items()}
        key = shown.pop("authorization", "").removeprefix("Bearer ") or shown.pop("x-api-key", "")
        self.counts[model] += 1
        entry = JournalEntry(
            number=self.counts.total(),
            dialect=dialect,
            model=model,
            request_id=shown.get("x-request-id", ""),
            key_sha256=hash_of(key.encode()) if key else "",
            body_sha256=hash_of(body),
            fields_sha256=_hash_fields(body),
            headers=shown,
            began_s=time.monotonic(),
            document=msgspec.json.decode(body) if self._keep_documents and len(body) < 65_536 else {},
        )
        self._entries.append(entry)
        return entry

    def entries(self, model: str | None) -> list[dict[str, Any]]:
        """Requests for `model`, or all, the oldest first."""
        return [asdict(entry) for entry in self._entries if model in (None, entry.model)]

    def clear(self) -> None:
        self._entries.clear()
        self.counts.clear()


def hash_of(data: bytes) -> str:
    """Sha256 in hex."""
    return hashlib.sha256(data).hexdigest()


def _hash_fields(body: bytes) -> dict[str, str]:
    try:
        fields = _fields.decode(body)
    except msgspec.DecodeError:
        return {}
    return {name: hash_of(bytes(raw)) for name, raw in fields.items()}
