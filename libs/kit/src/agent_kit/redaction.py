"""Where services imported it from until their modules had moved."""

from agent_base.redaction import MASK, SHORTEST_SECRET, Redactor

__all__ = ["MASK", "SHORTEST_SECRET", "Redactor"]
