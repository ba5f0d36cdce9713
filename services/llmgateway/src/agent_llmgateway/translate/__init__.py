"""Between dialects, where a route needs it. Each pair is one object with a request, an answer and a stream."""

from collections.abc import Mapping
from typing import Final

from agent_llmgateway.dialects import DialectName
from agent_llmgateway.translate.base import TranslatedRequest, Translation

TRANSLATIONS: Final[Mapping[tuple[DialectName, DialectName], Translation]] = {}

__all__ = ["TRANSLATIONS", "TranslatedRequest", "Translation"]
