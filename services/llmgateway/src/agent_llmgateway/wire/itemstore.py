"""The items of responses, for clients that send only their ids back.

The responses API lets a client refer to what it was given (`item_reference`), and OpenAI looks it up. What a backup
made OpenAI never saw, and what OpenAI made a backup cannot look up, so the gateway keeps both: the newest items,
bounded in number and bytes, in memory.
"""

from collections import OrderedDict
from typing import Any, Final

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.wire.lenient import encode, read_document

Document = dict[str, Any]
MOST_ITEMS: Final = 4096
MOST_BYTES: Final = 16 << 20


class ItemStore:
    """Forgets the oldest items first."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def keep(self, items: list[Document]) -> None:
        """Remember `items` by their ids."""
        for item in items:
            encoded = encode(item)
            if len(encoded) > MOST_BYTES:
                continue
            self._bytes += len(encoded) - len(self._items.pop(item["id"], b""))
            self._items[item["id"]] = encoded
        while self._items and (len(self._items) > MOST_ITEMS or self._bytes > MOST_BYTES):
            self._bytes -= len(self._items.popitem(last=False)[1])

    def take(self, data: bytes) -> None:
        """Remember what an event, or a whole answer, of another API's own has made. What cannot be read is left."""
        try:
            document = read_document(data)
        except MalformedEventError:
            return
        given = document.get("output", [document.get("item")])
        made = given if isinstance(given, list) else []
        self.keep([item for item in made if isinstance(item, dict) and isinstance(item.get("id"), str)])

    def find(self, item_id: str) -> Document | None:
        """The item, if it is still known."""
        encoded = self._items.get(item_id)
        if encoded is None:
            return None
        self._items.move_to_end(item_id)
        item: Document = msgspec.json.decode(encoded)
        return item
