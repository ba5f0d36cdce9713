"""What a request refers to that only its provider's own account can read: earlier responses, sealed thoughts, files.

Two keys of one provider may belong to two organisations. What one of them made the other does not know, so what an
answer brings along and what a request refers to are looked for in their bytes: nothing is parsed for it.
"""

import hashlib
import re
from typing import Final

MOST_STATES: Final = 64
"""Of one request: the newest, which stand last."""
_DIGEST_BYTES: Final = 12
_STATE: Final = re.compile(
    rb'"(?:previous_response_id|conversation|container|file_id|encrypted_content|id)"\s*:\s*"([^"\\]{8,256})'
)
_CACHE_KEY: Final = re.compile(rb'"prompt_cache_key"\s*:\s*("(?:[^"\\]|\\.){1,256}")')
_NAMES: Final = (b"_id", b'"id"', b'"conversation"', b'"container"', b'"encrypted_content"')


def states_in(data: bytes) -> tuple[bytes, ...]:
    """Digests of the ids and seals in a request, an answer or an event, the newest last.

    An id of anything else does no harm: nobody will refer to it with another key.
    """
    if not any(name in data for name in _NAMES):
        return ()
    found = _STATE.findall(data)[-MOST_STATES:]
    return tuple(hashlib.blake2b(each, digest_size=_DIGEST_BYTES).digest() for each in found)


def cache_key_in(body: bytes) -> bytes:
    """`prompt_cache_key` of a request; empty without one."""
    found = _CACHE_KEY.search(body) if b'"prompt_cache_key"' in body else None
    return found.group(1) if found else b""
