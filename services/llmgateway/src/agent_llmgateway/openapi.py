"""The gateway's own OpenAPI document."""

from typing import Any


def make_openapi() -> dict[str, Any]:
    """OpenAPI 3.1."""
    return {}
