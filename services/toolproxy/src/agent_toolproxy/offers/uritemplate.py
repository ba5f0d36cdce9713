"""URIs, and templates of them (RFC 6570) as far as a proxy needs them: whether a URI may be made of one."""

import re
from typing import Final

from pydantic import AnyUrl

from agent_toolproxy.mcp.definitions import DefinitionError

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x1f\x7f]+")
_MOST_EXPRESSIONS: Final = 20
_EXPRESSION: Final = re.compile(r"\{([^{}]*)\}")


def is_uri(value: object, longest: int) -> bool:
    """Whether the strictest client takes it: the Python SDK of 1.x has a list with one bad URI fail whole."""
    if not isinstance(value, str) or len(value) > longest or _URI.fullmatch(value) is None:
        return False
    try:
        AnyUrl(value)
    except ValueError:
        return False
    return True


class UriTemplate:
    """Literal parts and expressions between them. Raises DefinitionError for what is none."""

    def __init__(self, text: str) -> None:
        parts = _EXPRESSION.split(text)
        self._literals = parts[::2]
        if any(brace in literal for literal in self._literals for brace in "{}"):
            raise DefinitionError("its uriTemplate has braces that do not match")
        if len(self._literals) > _MOST_EXPRESSIONS + 1:
            raise DefinitionError(f"its uriTemplate has more than {_MOST_EXPRESSIONS} expressions")
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text):
            raise DefinitionError("its uriTemplate has no scheme")

    def matches(self, uri: str) -> bool:
        """Whether `uri` has the literal parts in their order; what an expression stands for may be anything.

        In time linear in the URI: no pattern of a foreign server is compiled.
        """
        first, *rest = self._literals
        if not rest:
            return uri == first
        if not uri.startswith(first):
            return False
        place, last = len(first), rest.pop()
        for literal in rest:
            found = uri.find(literal, place)
            if found < 0:
                return False
            place = found + len(literal)
        return len(uri) - len(last) >= place and uri.endswith(last)
